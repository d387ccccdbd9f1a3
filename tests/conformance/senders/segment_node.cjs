// npm @segment/analytics-node: argv has the address, the write key and a file with the calls.
const { readFileSync } = require('node:fs')
const { Analytics } = require('@segment/analytics-node')

const [url, writeKey, file] = process.argv.slice(2)
const BATCH = 100
const analytics = new Analytics({ writeKey, host: url, flushAt: BATCH })
analytics.on('error', (error) => {
  console.error(error)
  process.exitCode = 1
})

function send({ type, user: userId, visitor, text }) {
  const properties = { title: text }
  if (type === 'identify') analytics.identify({ userId, traits: { nickname: text } })
  if (type === 'track') analytics.track({ userId, event: 'Product Viewed', properties: { product_id: 'p1', ...properties } })
  if (type === 'page') analytics.page({ userId, category: 'Docs', name: text, properties })
  if (type === 'screen') analytics.screen({ userId, category: 'Docs', name: text, properties })
  if (type === 'group') analytics.group({ userId, groupId: 'acme', traits: properties })
  if (type === 'alias') analytics.alias({ userId, previousId: visitor })
}

async function main(calls) {
  // One batch at a time: a 200 to another one under way ends the wait that a 429 asked for.
  for (let start = 0; start < calls.length; start += BATCH) {
    calls.slice(start, start + BATCH).forEach(send)
    await analytics.flush({ timeout: 100_000 })
  }
}
main(JSON.parse(readFileSync(file, 'utf8')))

// npm @segment/analytics-node: argv has the address, the write key and a file with the calls.
const { readFileSync } = require('node:fs')
const { Analytics } = require('@segment/analytics-node')

const [url, writeKey, file] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host: url, flushAt: 50, flushInterval: 200 })
analytics.on('error', (error) => {
  console.error(error)
  process.exitCode = 1
})
for (const { type, user: userId, visitor, text } of JSON.parse(readFileSync(file, 'utf8'))) {
  const properties = { title: text }
  if (type === 'identify') analytics.identify({ userId, traits: { nickname: text } })
  if (type === 'track') analytics.track({ userId, event: 'Product Viewed', properties: { product_id: 'p1', ...properties } })
  if (type === 'page') analytics.page({ userId, category: 'Docs', name: text, properties })
  if (type === 'screen') analytics.screen({ userId, category: 'Docs', name: text, properties })
  if (type === 'group') analytics.group({ userId, groupId: 'acme', traits: properties })
  if (type === 'alias') analytics.alias({ userId, previousId: visitor })
}
analytics.closeAndFlush({ timeout: 60_000 })

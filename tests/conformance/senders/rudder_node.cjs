// npm @rudderstack/rudder-sdk-node: argv has the address, the write key and a file with the calls.
const { readFileSync } = require('node:fs')
const Analytics = require('@rudderstack/rudder-sdk-node')

const [url, writeKey, file] = process.argv.slice(2)
const fail = (error) => {
  console.error(String(error))
  process.exitCode = 1
}
const client = new Analytics(writeKey, { dataPlaneUrl: url, flushAt: 20, flushInterval: 100, errorHandler: fail })
for (const { type, user: userId, visitor, text } of JSON.parse(readFileSync(file, 'utf8'))) {
  const properties = { title: text }
  if (type === 'identify') client.identify({ userId, traits: { nickname: text } })
  if (type === 'track') client.track({ userId, event: 'Product Viewed', properties: { product_id: 'p1', ...properties } })
  if (type === 'page') client.page({ userId, category: 'Docs', name: text, properties })
  if (type === 'screen') client.screen({ userId, category: 'Docs', name: text, properties })
  if (type === 'group') client.group({ userId, groupId: 'acme', traits: properties })
  if (type === 'alias') client.alias({ userId, previousId: visitor })
}
const drain = () => client.flush().then(() => (client.queue.length ? drain() : client.pendingFlush)).catch(fail)
drain()

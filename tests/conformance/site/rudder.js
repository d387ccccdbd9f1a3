// npm @rudderstack/analytics-js in a page.
import { calls, key, mode, url } from './given.js'

const BEACON = 10

// A browser takes 64 KiB of beacons at a time and refuses what is more, which this SDK then drops.
async function beaconsAreAway(count) {
  const away = () => performance.getEntriesByType('resource').filter((one) => one.initiatorType === 'beacon').length
  while (away() < count) await new Promise((done) => setTimeout(done, 20))
}

const analytics = new rudderanalytics.RudderAnalytics()
analytics.load(key, url, {
  configUrl: url,
  loadIntegration: false,
  useBeacon: mode === 'beacon',
  beaconQueueOptions: { maxItems: BEACON, flushQueueInterval: 100 },
  // More than its queue of 100 holds are sent at once here.
  queueOptions: { maxItems: 1000 },
})
for (const [number, { type, user, text }] of calls.entries()) {
  if (mode === 'beacon' && number % BEACON === 0) await beaconsAreAway(number / BEACON)
  const properties = { title: text }
  if (type === 'identify') analytics.identify(user, { nickname: text })
  if (type === 'track') analytics.track('Product Viewed', { product_id: 'p1', ...properties })
  if (type === 'page') analytics.page('Docs', text, properties)
  if (type === 'group') analytics.group('acme', properties)
  if (type === 'alias') analytics.alias('somebody-else')
}

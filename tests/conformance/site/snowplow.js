// npm @snowplow/browser-tracker in a page.
import { calls, key, mode, url } from './given.js'

const snowplow = snowplowBrowserTracking
snowplow.newTracker('conformance', url, { appId: key, eventMethod: mode || 'post', bufferSize: 1, encodeBase64: true })
for (const { type, user, text } of calls) {
  snowplow.setUserId(user)
  if (type === 'page_view') snowplow.trackPageView({ title: text })
  if (type === 'struct') snowplow.trackStructEvent({ category: 'docs', action: 'read', label: text, value: 1.5 })
  if (type === 'self_describing') {
    const schema = 'iglu:com.example/product_viewed/jsonschema/1-0-0'
    snowplow.trackSelfDescribingEvent({ event: { schema, data: { product_id: 'p1', title: text } } })
  }
}
// What failed it sends again with the next event, or on a flush.
setInterval(() => snowplow.flushBuffer(), 200)

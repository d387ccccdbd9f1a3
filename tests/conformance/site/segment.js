// npm @segment/analytics-next in a page.
import { calls, key, mode, url } from './given.js'

// Where to send to stands in the settings that it gets from `cdnURL`; a page may say so itself as well.
const told = {
  apiHost: `${new URL(url).host}/v1`,
  protocol: 'http',
  deliveryStrategy: { strategy: 'batching', config: { size: calls.length, timeout: 1000 } },
}
const analytics = AnalyticsNext.AnalyticsBrowser.load(
  { writeKey: key, cdnURL: url },
  mode === 'batching' ? { integrations: { 'Segment.io': told } } : {},
)
for (const { type, user, text } of calls) {
  const properties = { title: text }
  if (type === 'identify') analytics.identify(user, { nickname: text })
  if (type === 'track') analytics.track('Product Viewed', { product_id: 'p1', ...properties })
  if (type === 'page') analytics.page('Docs', text, properties)
  if (type === 'screen') analytics.screen('Docs', text, properties)
  if (type === 'group') analytics.group('acme', properties)
  if (type === 'alias') analytics.alias('somebody-else')
}

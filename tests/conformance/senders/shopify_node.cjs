// Deliveries signed as Shopify's documents say; npm @shopify/shopify-api has to accept each before it is sent.
const { createHmac } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
require('@shopify/shopify-api/adapters/node')
const { shopifyApi } = require('@shopify/shopify-api')
const { secret, deliverAll } = require('./deliver.cjs')

const API_VERSION = '2026-01'
const PAYLOADS = join(__dirname, '../../unit/ingest/providers/payloads')
const read = (name) => JSON.parse(readFileSync(join(PAYLOADS, `shopify_${name}.json`), 'utf8'))
const ORDER = read('order')
const CHECKOUT = read('checkout')
const shopify = shopifyApi({
  apiKey: 'none',
  apiSecretKey: secret,
  apiVersion: API_VERSION,
  hostName: 'app.example',
  isEmbeddedApp: false,
  logger: { level: 0 },
})

function body({ type, user, text }, number) {
  const now = new Date().toISOString()
  const customer = { ...ORDER.customer, id: Number(user) }
  if (type === 'customers/update') return { ...customer, first_name: text, updated_at: now }
  const token = `${CHECKOUT.token}-${number}`
  if (type === 'checkouts/create') {
    const lines = [{ ...CHECKOUT.line_items[0], title: text }]
    return { ...CHECKOUT, token, customer, created_at: now, updated_at: now, line_items: lines }
  }
  const ordered = ORDER.order_number + number
  const named = { id: 8209829119000 + number, name: `#${ordered}`, order_number: ordered, checkout_token: token }
  const order = { ...ORDER, ...named, customer, updated_at: now }
  if (type === 'orders/create')
    return { ...order, created_at: now, shipping_lines: [{ ...ORDER.shipping_lines[0], title: text }] }
  if (type === 'orders/paid') return { ...order, payment_gateway_names: [text] }
  return { ...order, cancelled_at: now, cancel_reason: text }
}

const sign = (topic, number) => async (rawBody) => {
  const headers = {
    'x-shopify-hmac-sha256': createHmac('sha256', secret).update(rawBody).digest('base64'),
    'x-shopify-topic': topic,
    'x-shopify-shop-domain': 'shop.myshopify.com',
    'x-shopify-api-version': API_VERSION,
    'x-shopify-event-id': `event-${number}`,
    'x-shopify-webhook-id': `webhook-${number}`,
    'x-shopify-triggered-at': new Date().toISOString(),
  }
  const found = await shopify.webhooks.validate({ rawBody, rawRequest: { method: 'POST', url: '/', headers } })
  if (!found.valid) throw new Error(`@shopify/shopify-api refuses it: ${found.reason}`)
  return headers
}

deliverAll((call, number) => [JSON.stringify(body(call, number)), sign(call.type, number)])

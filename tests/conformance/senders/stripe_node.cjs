// npm stripe signs deliveries as Stripe does.
const Stripe = require('stripe')
const { secret, deliverAll } = require('./deliver.cjs')

const stripe = new Stripe('sk_test_none')

function event({ type, user, text }, number) {
  const object = { metadata: { user_id: user }, amount: 1250, currency: 'eur' }
  if (type === 'payment_intent.payment_failed')
    Object.assign(object, { id: `pi_${number}`, object: 'payment_intent', last_payment_error: { message: text } })
  if (type === 'charge.failed')
    Object.assign(object, { id: `ch_${number}`, object: 'charge', failure_message: text, payment_intent: `pi_${number}` })
  if (type === 'charge.dispute.created')
    Object.assign(object, { id: `dp_${number}`, object: 'dispute', reason: text, payment_intent: `pi_${number}` })
  if (type === 'invoice.paid') Object.assign(object, { id: `in_${number}`, object: 'invoice', number: text })
  const created = Math.floor(Date.now() / 1000)
  return { id: `evt_${number}`, object: 'event', type, created, data: { object } }
}

const sign = (payload) => ({ 'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload, secret }) })

deliverAll((call, number) => [JSON.stringify(event(call, number), null, 2), sign])

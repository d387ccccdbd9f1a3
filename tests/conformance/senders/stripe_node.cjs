// npm stripe signs deliveries as Stripe does: argv has the address, the signing secret and a file with what to tell.
const { readFileSync } = require('node:fs')
const { setTimeout: pause } = require('node:timers/promises')
const Stripe = require('stripe')

const [url, secret, file] = process.argv.slice(2)
const stripe = new Stripe('sk_test_none')
const TRIES = 10

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

async function deliver(payload) {
  for (let tried = 0; tried < TRIES; tried++) {
    const header = stripe.webhooks.generateTestHeaderString({ payload, secret })
    const headers = { 'content-type': 'application/json', 'stripe-signature': header }
    const answer = await fetch(url, { method: 'POST', headers, body: payload }).catch(() => null)
    if (answer?.ok) return
    await pause(100)
  }
  throw new Error(`not taken: ${payload}`)
}

async function main(told) {
  for (const [number, one] of told.entries()) await deliver(JSON.stringify(event(one, number), null, 2))
}
main(JSON.parse(readFileSync(file, 'utf8')))

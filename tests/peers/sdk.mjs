// The official node library against the simulator, and against the product's webhook endpoint.
// Started by `cargo verify peers`, which says where both of them are.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import Stripe from 'stripe';

const { SIMULATOR, PRODUCT, KEY, SECRET } = process.env;
const at = new URL(SIMULATOR);
const stripe = new Stripe(KEY, { host: at.hostname, port: at.port, protocol: 'http' });

// Whatever hangs must not hang for ever.
setTimeout(() => {
    console.error('    the library waited for two minutes in vain');
    process.exit(1);
}, 120_000).unref();

/** Does one thing and says so. */
async function check(name, work) {
    try {
        const outcome = await work();
        console.log(`    ${name}`);
        return outcome;
    } catch (error) {
        console.error(`    ${name}: FAILED`);
        throw error;
    }
}

/** An endpoint that verifies what it is sent, as the library's users do. */
async function listen() {
    const heard = [];
    const refused = [];
    let secret = '';
    const server = createServer((request, response) => {
        const parts = [];
        request.on('data', (part) => parts.push(part));
        request.on('end', () => {
            const signature = request.headers['stripe-signature'];
            try {
                heard.push(stripe.webhooks.constructEvent(Buffer.concat(parts), signature, secret));
            } catch (error) {
                refused.push(error.message);
                response.statusCode = 400;
            }
            response.end();
        });
    });
    await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
    const url = `http://127.0.0.1:${server.address().port}/hook`;
    const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ['*'] });
    secret = endpoint.secret;
    const end = async () => {
        await stripe.webhookEndpoints.del(endpoint.id);
        server.close();
        server.closeAllConnections();
    };
    return { heard, refused, end };
}

const hook = await check('an endpoint is made, and its secret told', listen);

const customer = await check('a customer is made, with a card', async () => {
    const made = await stripe.customers.create({
        email: 'ada@example.com',
        name: 'Ada Ångström & Söhne',
        metadata: { plan: 'a=b&c[d]', empty: '' },
    });
    const card = await stripe.paymentMethods.attach('pm_card_visa', { customer: made.id });
    assert.equal(card.card.last4, '4242');
    await stripe.customers.update(made.id, {
        invoice_settings: { default_payment_method: card.id },
    });
    const expand = ['invoice_settings.default_payment_method'];
    const seen = await stripe.customers.retrieve(made.id, { expand });
    assert.equal(seen.name, 'Ada Ångström & Söhne');
    assert.deepEqual(seen.metadata, { plan: 'a=b&c[d]' });
    assert.equal(seen.invoice_settings.default_payment_method.id, card.id);
    return { id: made.id, card: card.id };
});

await check('a payment succeeds, once for one key, and part of it goes back', async () => {
    const pay = () =>
        stripe.paymentIntents.create(
            {
                amount: 1999,
                currency: 'usd',
                customer: customer.id,
                payment_method: customer.card,
                confirm: true,
                off_session: true,
                expand: ['latest_charge'],
            },
            { idempotencyKey: `pay-${customer.id}` },
        );
    const paid = await pay();
    assert.equal(paid.status, 'succeeded');
    assert.equal(paid.latest_charge.paid, true);
    assert.equal((await pay()).id, paid.id);
    const refund = await stripe.refunds.create({ payment_intent: paid.id, amount: 500 });
    assert.equal(refund.status, 'succeeded');
    const charge = await stripe.charges.retrieve(paid.latest_charge.id);
    assert.equal(charge.amount_refunded, 500);
    await assert.rejects(
        stripe.refunds.create({ payment_intent: paid.id, amount: 1500 }),
        Stripe.errors.StripeInvalidRequestError,
    );
});

const subscription = await check('a subscription begins, changes and ends', async () => {
    const product = await stripe.products.create({ name: 'Pro' });
    const price = (unit_amount) =>
        stripe.prices.create({
            product: product.id,
            currency: 'usd',
            unit_amount,
            recurring: { interval: 'month' },
        });
    const [small, large] = [await price(1000), await price(3000)];
    const begun = await stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: small.id }],
        expand: ['latest_invoice.payments'],
    });
    assert.equal(begun.status, 'active');
    assert.equal(begun.latest_invoice.status, 'paid');
    assert.equal(begun.latest_invoice.amount_paid, 1000);
    assert.equal(begun.latest_invoice.payments.data.length, 1);
    const item = begun.items.data[0].id;
    const changed = await stripe.subscriptions.update(begun.id, {
        items: [{ id: item, price: large.id }],
        proration_behavior: 'always_invoice',
        expand: ['latest_invoice'],
    });
    assert.equal(changed.items.data[0].price.id, large.id);
    assert.equal(changed.latest_invoice.status, 'paid');
    const ending = await stripe.subscriptions.update(begun.id, { cancel_at_period_end: true });
    assert.ok(ending.cancel_at > begun.created);
    assert.equal((await stripe.subscriptions.cancel(begun.id)).status, 'canceled');
    return begun.id;
});

await check('a page is paid, and its session is complete', async () => {
    const session = await stripe.checkout.sessions.create({
        mode: 'payment',
        customer: customer.id,
        line_items: [
            {
                quantity: 2,
                price_data: {
                    currency: 'usd',
                    unit_amount: 700,
                    product_data: { name: 'A pack' },
                },
            },
        ],
        success_url: 'http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}',
    });
    const answer = await fetch(session.url, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams({ test_card: '4242424242424242' }),
    });
    assert.equal(answer.headers.get('location'), session.success_url.replace(/{.*}/, session.id));
    const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ['line_items'] });
    assert.equal(done.status, 'complete');
    assert.equal(done.payment_status, 'paid');
    assert.equal(done.line_items.data[0].amount_total, 1400);
});

await check('a card is declined, and the error says why', async () => {
    const declined = await stripe.paymentIntents
        .create({
            amount: 1999,
            currency: 'usd',
            customer: customer.id,
            payment_method: 'pm_card_chargeCustomerFail',
            confirm: true,
            off_session: true,
        })
        .then(
            () => assert.fail('it was paid'),
            (error) => error,
        );
    assert.ok(declined instanceof Stripe.errors.StripeCardError, String(declined));
    assert.equal(declined.statusCode, 402);
    assert.equal(declined.code, 'card_declined');
    assert.equal(declined.payment_intent.status, 'requires_payment_method');
});

await check('mistakes are named: no such object, no such parameter, no key', async () => {
    const error = (work) => work.then(() => assert.fail('it was taken'), (error) => error);
    const lost = await error(stripe.customers.retrieve('cus_nobody'));
    assert.equal(lost.code, 'resource_missing');
    assert.equal(lost.statusCode, 404);
    const unknown = await error(stripe.customers.create({ shoe_size: 42 }));
    assert.equal(unknown.code, 'parameter_unknown');
    assert.equal(unknown.param, 'shoe_size');
    const nobody = new Stripe('nonsense', { host: at.hostname, port: at.port, protocol: 'http' });
    const shut = await error(nobody.customers.list());
    assert.ok(shut instanceof Stripe.errors.StripeAuthenticationError, String(shut));
});

await check('lists are read page by page', async () => {
    const email = `many-${customer.id}@example.com`;
    const made = [];
    for (let number = 0; number < 7; number += 1) {
        made.unshift((await stripe.customers.create({ email })).id);
    }
    const seen = [];
    for await (const one of stripe.customers.list({ email, limit: 3 })) {
        seen.push(one.id);
    }
    assert.deepEqual(seen, made);
    const ended = await stripe.subscriptions.list({ customer: customer.id, status: 'canceled' });
    assert.deepEqual(ended.data.map((one) => one.id), [subscription]);
    const invoices = await stripe.invoices.list({ customer: customer.id }).autoPagingToArray({
        limit: 100,
    });
    assert.ok(invoices.length >= 2 && invoices.every((invoice) => invoice.status === 'paid'));
});

await check('every webhook is signed as the library verifies it', async () => {
    const idle = await fetch(`${SIMULATOR}/_sim/idle`);
    assert.equal((await idle.json()).idle, true);
    assert.deepEqual(hook.refused, []);
    const types = new Set(hook.heard.map((event) => event.type));
    const expected = [
        'customer.created',
        'payment_method.attached',
        'payment_intent.succeeded',
        'charge.refunded',
        'customer.subscription.created',
        'invoice.paid',
        'customer.subscription.updated',
        'customer.subscription.deleted',
        'checkout.session.completed',
        'payment_intent.payment_failed',
    ];
    assert.deepEqual(expected.filter((type) => !types.has(type)), []);
    const paid = hook.heard.find((event) => event.type === 'invoice.paid');
    assert.deepEqual((await stripe.events.retrieve(paid.id)).data, paid.data);
});

await check("the product takes what the library signs, and nothing else", async () => {
    const payload = JSON.stringify(hook.heard[0], null, 2);
    const now = Math.floor(Date.now() / 1000);
    const send = async (signed, body = payload) => {
        const signature = stripe.webhooks.generateTestHeaderString({ payload, ...signed });
        const headers = { 'stripe-signature': signature, 'content-type': 'application/json' };
        return (await fetch(`${PRODUCT}/webhooks/stripe`, { method: 'POST', headers, body })).status;
    };
    assert.equal(await send({ secret: SECRET }), 200);
    assert.equal(await send({ secret: SECRET }), 200, 'the same event again');
    assert.equal(await send({ secret: 'whsec_somebody_else' }), 400);
    assert.equal(await send({ secret: SECRET, timestamp: now - 3600 }), 400, 'an hour old');
    assert.equal(await send({ secret: SECRET }, `${payload} `), 400, 'another body');
});

await hook.end();
console.log(`    ${hook.heard.length} webhooks verified`);

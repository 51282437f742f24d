//! Identifiers with Stripe's prefixes.

use rand::Rng;
use rand::distr::Alphanumeric;

/// The prefix and the number of random characters for each kind of object.
const SHAPES: &[(&str, &str, usize)] = &[
    ("customer", "cus_", 14),
    ("product", "prod_", 14),
    ("price", "price_1", 23),
    ("checkout.session", "cs_test_a1", 56),
    ("item", "li_1", 23),
    ("subscription", "sub_1", 23),
    ("subscription_item", "si_", 14),
    ("invoice", "in_1", 23),
    ("invoiceitem", "ii_1", 23),
    ("line_item", "il_1", 23),
    ("invoice_payment", "inpay_1", 23),
    ("payment_intent", "pi_3", 23),
    ("charge", "ch_3", 23),
    ("refund", "re_3", 23),
    ("dispute", "du_1", 23),
    ("credit_note", "cn_1", 23),
    ("credit_note_line_item", "cnli_1", 23),
    ("customer_balance_transaction", "cbtxn_1", 23),
    ("payment_method", "pm_1", 23),
    ("setup_intent", "seti_1", 23),
    ("event", "evt_1", 23),
    ("webhook_endpoint", "we_1", 23),
    ("billing_portal.session", "bps_1", 23),
    ("billing_portal.configuration", "bpc_1", 23),
    ("test_helpers.test_clock", "clock_1", 23),
    ("balance_transaction", "txn_3", 23),
    ("coupon", "", 8),
    ("promotion_code", "promo_1", 23),
    ("discount", "di_1", 23),
    ("subscription_schedule", "sub_sched_1", 23),
    ("request", "req_", 14),
    ("delivery", "dlv_", 20),
    ("webhook_secret", "whsec_", 32),
];

/// A new identifier for an object of this kind.
pub fn new(kind: &str) -> String {
    let shape = SHAPES.iter().find(|(name, _, _)| *name == kind);
    let (prefix, length) = shape.map(|(_, p, l)| (*p, *l)).unwrap_or(("obj_", 20));
    format!("{prefix}{}", random(length))
}

/// Random letters and digits.
pub fn random(length: usize) -> String {
    let letters = rand::rng().sample_iter(Alphanumeric).take(length);
    letters.map(char::from).collect()
}

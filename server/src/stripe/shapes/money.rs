//! What is read of payments and of what comes back of them: charges, refunds, disputes, credit
//! notes. Pure.

use serde::{Deserialize, Deserializer};

use super::{Metadata, nullable, reference};

/// `pi_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PaymentIntent {
    /// Its id.
    pub id: String,
    /// Who pays.
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// requires_payment_method, requires_confirmation, requires_action, processing, succeeded,
    /// requires_capture or canceled
    pub status: String,
    /// Minor units.
    pub amount: i64,
    /// Minor units that came in.
    #[serde(default, deserialize_with = "nullable")]
    pub amount_received: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// The charge that was tried last.
    #[serde(default, deserialize_with = "reference")]
    pub latest_charge: Option<String>,
    /// What pays.
    #[serde(default, deserialize_with = "reference")]
    pub payment_method: Option<String>,
    /// Why it was canceled: `abandoned`, `requested_by_customer`, …
    pub cancellation_reason: Option<String>,
    /// Why it could not be paid, the last time it was tried.
    pub last_payment_error: Option<PaymentError>,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// In seconds.
    pub created: i64,
}

/// Why a payment could not be made.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PaymentError {
    /// Stripe's code: `card_declined`, `authentication_required`, …
    #[serde(default, deserialize_with = "nullable")]
    pub code: String,
    /// The bank's reason: `insufficient_funds`, `lost_card`, …
    pub decline_code: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "nullable")]
    pub message: String,
}

/// `ch_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Charge {
    /// Its id.
    pub id: String,
    /// Who paid; absent for a guest.
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// The payment it is a part of.
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Minor units, of what was reserved, that were taken.
    #[serde(default, deserialize_with = "nullable")]
    pub amount_captured: i64,
    /// Minor units that went back; refunds that failed are not among them.
    pub amount_refunded: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
}

impl Charge {
    /// What was paid, in minor units.
    pub fn paid(&self) -> i64 {
        if self.amount_captured > 0 { self.amount_captured } else { self.amount }
    }
}

/// `re_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: String,
    /// What it is a refund of.
    #[serde(default, deserialize_with = "reference")]
    pub charge: Option<String>,
    /// The payment of that charge.
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// pending, requires_action, succeeded, failed or canceled; very old ones have none.
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// duplicate, fraudulent, requested_by_customer, …
    pub reason: Option<String>,
    /// In seconds.
    pub created: i64,
}

/// `du_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Dispute {
    /// Its id.
    pub id: String,
    /// What is disputed.
    #[serde(default, deserialize_with = "reference")]
    pub charge: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Stripe's word.
    pub status: String,
    /// What the customer told the bank: fraudulent, product_not_received, …
    #[serde(default, deserialize_with = "nullable")]
    pub reason: String,
    /// Until when it can be answered.
    #[serde(default, deserialize_with = "nullable")]
    pub evidence_details: EvidenceDetails,
    /// In seconds.
    pub created: i64,
}

/// When a dispute must be answered.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EvidenceDetails {
    /// In seconds.
    pub due_by: Option<i64>,
}

/// `cn_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CreditNote {
    /// Its id.
    pub id: String,
    /// Whose invoice it corrects.
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// The invoice.
    #[serde(default, deserialize_with = "reference")]
    pub invoice: Option<String>,
    /// Minor units, with taxes.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// issued or void
    pub status: String,
    /// The refunds by which a part of it was given back.
    #[serde(default, deserialize_with = "nullable")]
    pub refunds: Vec<NoteRefund>,
    /// In seconds.
    pub created: i64,
}

impl CreditNote {
    /// The part of it that no refund of a charge gives back, in minor units: it went to the
    /// customer's balance, was paid outside Stripe, or lowered what was still to be paid.
    pub fn beyond_refunds(&self) -> i64 {
        let by_refund = self.refunds.iter().filter(|part| part.refund.is_some());
        let sum = by_refund.fold(0, |sum: i64, part| sum.saturating_add(part.amount_refunded));
        self.amount.saturating_sub(sum).max(0)
    }
}

/// A refund that a credit note was given back by.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NoteRefund {
    /// Minor units of the note.
    #[serde(default, deserialize_with = "nullable")]
    pub amount_refunded: i64,
    /// The refund of a charge; none where the payment was made outside Stripe.
    #[serde(default, deserialize_with = "reference")]
    pub refund: Option<String>,
}

/// `inpay_…`: which invoice a payment paid.
#[derive(Clone, Debug, Default)]
pub struct InvoicePayment {
    /// Its id.
    pub id: String,
    /// The invoice.
    pub invoice: Option<String>,
    /// open, paid or canceled
    pub status: String,
    /// The payment, where it was made by one of Stripe's.
    pub payment_intent: Option<String>,
}

impl<'de> Deserialize<'de> for InvoicePayment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        struct By {
            #[serde(default, deserialize_with = "reference")]
            payment_intent: Option<String>,
        }
        #[derive(Deserialize)]
        struct Whole {
            id: String,
            #[serde(default, deserialize_with = "reference")]
            invoice: Option<String>,
            status: String,
            #[serde(default, deserialize_with = "nullable")]
            payment: By,
        }
        let Whole { id, invoice, status, payment } = Whole::deserialize(deserializer)?;
        Ok(Self { id, invoice, status, payment_intent: payment.payment_intent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(amount: i64, refunds: serde_json::Value) -> CreditNote {
        let raw = serde_json::json!({
            "id": "cn_1",
            "customer": "cus_1",
            "invoice": { "id": "in_1" },
            "amount": amount,
            "currency": "usd",
            "status": "issued",
            "refunds": refunds,
            "created": 1,
        });
        serde_json::from_value(raw).expect("a credit note")
    }

    #[test]
    fn a_credit_note_counts_for_what_no_refund_carries() {
        // F14
        let part =
            |amount, refund| serde_json::json!({ "amount_refunded": amount, "refund": refund });
        let cases = [
            (500, serde_json::json!([]), 500),
            (500, serde_json::Value::Null, 500),
            (500, serde_json::json!([part(500, Some("re_1"))]), 0),
            (500, serde_json::json!([part(200, Some("re_1")), part(100, Some("re_2"))]), 200),
            (500, serde_json::json!([part(200, None)]), 500),
            (500, serde_json::json!([part(700, Some("re_1"))]), 0),
        ];
        for (amount, refunds, expected) in cases {
            let note = note(amount, refunds.clone());
            assert_eq!(note.beyond_refunds(), expected, "{refunds}");
            assert_eq!(note.invoice.as_deref(), Some("in_1"));
        }
    }

    #[test]
    fn an_invoice_payment_names_its_invoice_and_payment() {
        let raw = r#"{ "id": "inpay_1", "invoice": "in_1", "status": "paid",
            "payment": { "type": "payment_intent", "payment_intent": "pi_1" } }"#;
        let read: InvoicePayment = serde_json::from_str(raw).expect("an invoice payment");
        assert_eq!(read.invoice.as_deref(), Some("in_1"));
        assert_eq!(read.payment_intent.as_deref(), Some("pi_1"));
        assert!(serde_json::from_str::<Charge>(r#"{ "id": "ch_1" }"#).is_err(), "a guess");
    }
}

//! The periods of a wallet: the org's own months, the free allowance of each, and the period of the
//! allowance in force. Pure.

use crate::audit::Actor;
use crate::clock::{self, Millis};
use crate::error::Result;
use crate::ids;
use crate::units::Credits;

use super::book::Book;
use super::rows::{Grant, Source};

impl Book {
    /// The month of the org's life that `at` falls into, counted from 0, with its bounds.
    pub fn month_at(&self, at: Millis) -> (i64, Millis, Millis) {
        let anchor = self.wallet.created_at;
        let mut month = ((at - anchor) / (31 * clock::DAY)).max(0);
        while clock::add_months(anchor, month + 1) <= at {
            month += 1;
        }
        (month, clock::add_months(anchor, month), clock::add_months(anchor, month + 1))
    }

    /// Whether the free tier's allowance of the current month was not opened yet.
    pub fn free_is_due(&self, at: Millis) -> bool {
        self.month_at(at).0 >= self.wallet.free_opened
    }

    /// Opens the current month's free allowance, once: leaving and coming back mints nothing.
    pub fn open_free(&mut self, included: Credits, at: Millis) -> Result<()> {
        let (month, start, end) = self.month_at(at);
        if month < self.wallet.free_opened {
            return Ok(());
        }
        self.wallet.free_opened = month + 1;
        self.changed = true;
        if included.is_positive() {
            let source_ref = format!("{}:{month}", self.wallet.org_id);
            let grant = self.new_grant(Source::Free, source_ref, included, at, Some(end));
            // A read that settles in memory must name the grant as the write will.
            let id = ids::derived("grant", start, &grant.source_ref);
            let period = (Some(start), Some(end));
            let grant = Grant { id, period_start: period.0, period_end: period.1, ..grant };
            self.put_in(grant, &Actor::System, "Free allowance of the month")?;
        }
        self.turn_period(at);
        Ok(())
    }

    /// What the current period's allowance grants gave and how much of it was used; `None` where
    /// nothing was granted.
    pub fn allowance(&self, at: Millis) -> Option<(Credits, Credits)> {
        let live = |grant: &&Grant| grant.is_live(at);
        let current = self.grants.iter().filter(|grant| grant.is_allowance());
        let live: Vec<&Grant> = current.filter(live).collect();
        if live.is_empty() {
            return None;
        }
        let sum =
            |pick: fn(&Grant) -> Credits| live.iter().map(|grant| pick(grant)).sum::<Credits>();
        Some((sum(|grant| grant.amount), sum(|grant| grant.consumed)))
    }

    /// Since when use counts in this period. It may have been turned to after it began, because its
    /// allowance came late or another one lapsed: what was used in between counts in the period
    /// before, and stays counted there. (D16)
    pub fn counts_since(&self) -> Millis {
        self.wallet.period_start.max(self.wallet.counts_since)
    }

    /// The period of the allowance in force, else the org's own month.
    pub fn turn_period(&mut self, at: Millis) {
        let live = |grant: &&Grant| grant.is_live(at);
        let periods = self.grants.iter().filter(live);
        let periods = periods.filter_map(|grant| grant.period_start.zip(grant.period_end));
        let (start, end) = periods.max().unwrap_or_else(|| {
            let (_, start, end) = self.month_at(at);
            (start, end)
        });
        if start != self.wallet.period_start {
            self.wallet.period_used = Credits::ZERO;
            self.wallet.overage = Credits::ZERO;
            self.wallet.counts_since = at;
        }
        if (start, end) != (self.wallet.period_start, self.wallet.period_end) {
            (self.wallet.period_start, self.wallet.period_end) = (start, end);
            self.changed = true;
        }
    }
}

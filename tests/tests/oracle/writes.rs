//! What every keyed write does to the oracle's wallet, and what it answers.

use server::clock;
use server::credits::Source;
use server::gate::{self, Capture, NewHold, Operation, Over, Request};

use super::rules::{self, Borne, METERS, Price, refuse};
use super::wallet::{Effect, Grant, Hold, Kept, Part, Use, Wallet};
use super::words::{Ask, Gift, Held, Names, Outcome, Refused, TICK, Used};

type Done = Result<(Outcome, Effect), Refused>;

impl Wallet {
    /// Does it, and says what must be answered.
    pub fn apply(&mut self, ask: &Ask, names: &Names) -> Outcome {
        match ask {
            Ask::Write(request) => self.write(request, names),
            Ask::Give(gift) => self.give(gift, names),
            Ask::Cap(cap) => {
                self.cap = *cap;
                Outcome::Capped
            }
        }
    }

    fn give(&mut self, gift: &Gift, names: &Names) -> Outcome {
        let Gift { source, source_ref, credits, starts, expires } = gift;
        if !self.sources.insert((source.word(), source_ref.clone())) {
            return Outcome::Given(false);
        }
        let priority = match source {
            Source::Trial | Source::Promo => 10,
            Source::Contract => 40,
            _ => 50,
        };
        // What was bought pays a debt, but not before it can be spent.
        let bought = matches!(source, Source::Pack | Source::Contract);
        let (pays_debt, waits) = (bought && starts.is_none(), bought && starts.is_some());
        let (id, starts, expires) = (names.id.clone(), *starts, *expires);
        self.put_in(Grant { id, priority, starts, expires, left: *credits, waits }, pays_debt);
        Outcome::Given(true)
    }

    /// A key is answered once; what it did and was undone since is not answered again.
    fn write(&mut self, request: &Request, names: &Names) -> Outcome {
        if let Some(kept) = self.keys.get(&request.key) {
            return match self.is_undone(kept.effect) {
                _ if kept.fingerprint != request.fingerprint => {
                    Outcome::Refused(refuse(422, "idempotency_key_reused"))
                }
                true => Outcome::Refused(refuse(409, "operation_reversed")),
                false => Outcome::Again(kept.status, kept.body.clone()),
            };
        }
        let (outcome, status, effect) = match self.operate(&request.what, names) {
            Ok((outcome, effect)) => (outcome, 200, effect),
            Err(refused) if !refused.stored => return Outcome::Refused(refused),
            Err(refused) => {
                let status = refused.status;
                (Outcome::Refused(refused), status, Effect::None)
            }
        };
        let (fingerprint, body) = (request.fingerprint.clone(), names.body.clone());
        self.keys.insert(request.key.clone(), Kept { fingerprint, status, body, effect });
        outcome
    }

    fn is_undone(&self, effect: Effect) -> bool {
        match effect {
            Effect::None => false,
            Effect::Hold(place) => matches!(self.holds[place].status, "released" | "expired"),
            Effect::Use(place) => self.uses[place].reversed,
        }
    }

    fn operate(&mut self, what: &Operation, names: &Names) -> Done {
        match what {
            Operation::Consume(what) => self.consume(what, Over::Overage, names),
            Operation::Item(item) => self.consume(&item.what, item.over, names),
            Operation::Hold(new) => self.hold(new, names),
            Operation::Capture(capture) => self.capture(capture, names),
            Operation::Release { hold } => self.release(hold),
            Operation::Extend { hold, ttl } => self.extend(hold, *ttl),
            Operation::Reverse { usage, .. } => self.reverse(usage, names),
            Operation::ReleaseRun { run } => self.release_run(run),
        }
    }

    fn consume(&mut self, what: &gate::Use, over: Over, names: &Names) -> Done {
        let Price { credits, borne, .. } = self.judge(what, over)?;
        let from = self.take(credits - borne.overage - borne.debt);
        self.count(&what.meter);
        let (run, hold, late) = (what.run.clone(), None, false);
        Ok(self.charge(names, Charge { run, credits, from, borne, hold, late }))
    }

    fn hold(&mut self, new: &NewHold, names: &Names) -> Done {
        let what = &new.what;
        let Price { rate, credits, borne } = self.judge(what, Over::Overage)?;
        let Borne { overage, warned, .. } = borne;
        let parts = self.take(credits - overage);
        self.count(&what.meter);
        self.runs.extend(what.run.clone());
        self.holds.push(Hold {
            id: names.id.clone(),
            run: what.run.clone(),
            model: what.model.clone(),
            rate,
            credits,
            parts,
            overage,
            expires: self.now + new.ttl.div_euclid(TICK),
            charges: METERS.iter().any(|meter| meter.name == what.meter && meter.charges),
            status: "open",
            captured: 0,
            charged: false,
        });
        let place = self.holds.len() - 1;
        Ok((self.show(place, warned), Effect::Hold(place)))
    }

    fn capture(&mut self, capture: &Capture, names: &Names) -> Done {
        let place = self.find(&capture.hold)?;
        let hold = self.holds[place].clone();
        let late = hold.status == "expired" && !hold.charged;
        if hold.status != "open" && !late {
            return Err(refuse(409, "hold_not_open"));
        }
        let credits = self.price_capture(&hold, &capture.used)?;
        // What was set aside pays first; of a hold that is over nothing is left.
        let (parts, held_overage) = if late { (vec![], 0) } else { (hold.parts, hold.overage) };
        let (mut from, rest) = split(parts, credits);
        let still: i64 = credits - sum(&from);
        let from_overage = still.min(held_overage);
        let beyond = still - from_overage;
        if beyond > 0 && capture.over == Over::Deny && !late {
            return Err(self.deny(402, "insufficient_credits", credits));
        }
        let mut borne = match beyond > 0 || late {
            true => self.bear(credits, beyond, capture.over)?,
            false => Borne::default(),
        };
        for (id, part) in self.take(beyond - borne.overage - borne.debt) {
            match from.iter_mut().find(|(known, _)| *known == id) {
                Some((_, paid)) => *paid += part,
                None => from.push((id, part)),
            }
        }
        self.give_back(&rest);
        let hold = &mut self.holds[place];
        (hold.captured, hold.charged) = (credits, true);
        if !late {
            hold.status = "captured";
        }
        let (run, hold) = (hold.run.clone(), Some(hold.id.clone()));
        borne.overage += from_overage;
        Ok(self.charge(names, Charge { run, credits, from, borne, hold, late }))
    }

    /// The hold's own meter and model cost what they did when it was made.
    fn price_capture(&self, hold: &Hold, used: &gate::Used) -> Result<i64, Refused> {
        let lines = match used {
            gate::Used::Quantity(quantity) => return Ok(rules::cost(hold.rate, quantity.micros())),
            gate::Used::Lines(lines) => lines,
        };
        let mut credits = 0;
        for line in lines {
            let model = line.model.as_deref().or(hold.model.as_deref());
            let rate = rules::rate(&line.meter, model);
            let rate = rate.ok_or_else(|| self.deny(403, "price_unknown", 0))?;
            credits += rules::cost(rate, line.quantity.micros());
        }
        Ok(credits)
    }

    fn release(&mut self, hold: &str) -> Done {
        let place = self.find_open(hold)?;
        self.let_go(place);
        Ok((self.show(place, false), Effect::None))
    }

    fn extend(&mut self, hold: &str, ttl: clock::Millis) -> Done {
        let place = self.find_open(hold)?;
        let until = self.now + ttl.div_euclid(TICK);
        let hold = &mut self.holds[place];
        hold.expires = hold.expires.max(until);
        Ok((self.show(place, false), Effect::None))
    }

    fn release_run(&mut self, run: &str) -> Done {
        if !self.runs.contains(run) {
            return Err(refuse(404, "not_found"));
        }
        let of_run = |hold: &&Hold| hold.status == "open" && hold.run.as_deref() == Some(run);
        let (holds, credits) = self.holds.iter().filter(of_run).fold(
            (std::collections::BTreeSet::new(), 0),
            |(mut holds, credits), hold| {
                holds.insert(hold.id.clone());
                (holds, credits + hold.credits)
            },
        );
        for place in 0..self.holds.len() {
            if holds.contains(&self.holds[place].id) {
                self.let_go(place);
            }
        }
        let balance = self.balance();
        Ok((Outcome::Freed { holds, credits, balance }, Effect::None))
    }

    /// Everything returns to where it came from: a debt that was paid meanwhile, as a grant.
    fn reverse(&mut self, usage: &str, names: &Names) -> Done {
        let place = self.uses.iter().position(|used| used.ids.iter().any(|id| id == usage));
        let place = place.ok_or_else(|| refuse(404, "not_found"))?;
        if self.uses[place].reversed {
            return Err(refuse(409, "operation_reversed"));
        }
        self.uses[place].reversed = true;
        let used = self.uses[place].clone();
        self.give_back(&used.from);
        let owed = used.debt.min(self.debt);
        self.debt -= owed;
        if used.debt > owed {
            let mut unknown = names.returned.iter().filter(|(id, credits)| {
                let known = self.grants.iter().any(|grant| grant.id == *id);
                *credits == used.debt - owed && !known
            });
            let id = unknown.next().map_or("a grant nobody made", |(id, _)| id).to_owned();
            let (starts, left) = (None, used.debt - owed);
            let grant = Grant { id, priority: 50, starts, expires: None, left, waits: false };
            self.put_in(grant, false);
        }
        if used.month == self.month {
            self.used -= used.credits;
            self.overage -= used.overage;
        }
        Ok((self.show_use(place, false), Effect::None))
    }

    fn find(&self, hold: &str) -> Result<usize, Refused> {
        let place = self.holds.iter().position(|known| known.id == hold);
        place.ok_or_else(|| refuse(404, "not_found"))
    }

    fn find_open(&self, hold: &str) -> Result<usize, Refused> {
        let place = self.find(hold)?;
        let open = self.holds[place].status == "open";
        open.then_some(place).ok_or_else(|| refuse(409, "hold_not_open"))
    }

    fn let_go(&mut self, place: usize) {
        self.holds[place].status = "released";
        let parts = self.holds[place].parts.clone();
        self.give_back(&parts);
    }

    fn charge(&mut self, names: &Names, charge: Charge) -> (Outcome, Effect) {
        let Charge { run, credits, from, borne, hold, late } = charge;
        let Borne { overage, debt, warned } = borne;
        self.debt += debt;
        self.used += credits;
        self.overage += overage;
        self.runs.extend(run);
        let mut ids = names.lines.clone();
        ids.push(names.id.clone());
        let (at, month, reversed) = (self.now, self.month, false);
        self.uses.push(Use { ids, credits, from, overage, debt, hold, late, at, month, reversed });
        let place = self.uses.len() - 1;
        (self.show_use(place, warned), Effect::Use(place))
    }

    fn show(&self, place: usize, warned: bool) -> Outcome {
        let Hold { status, credits, overage, captured, expires, .. } = self.holds[place];
        let balance = self.balance();
        Outcome::Held(Held { status, credits, overage, captured, expires, warned, balance })
    }

    fn show_use(&self, place: usize, warned: bool) -> Outcome {
        let Use { credits, from, overage, debt, hold, late, reversed, at, .. } =
            self.uses[place].clone();
        let (balance, billed) = (self.balance(), overage * rules::OVERAGE_PRICE);
        Outcome::Used(Used {
            credits,
            from,
            overage,
            debt,
            billed,
            hold,
            late,
            reversed,
            at,
            warned,
            balance,
        })
    }
}

/// What is charged, and who pays.
struct Charge {
    run: Option<String>,
    credits: i64,
    from: Vec<Part>,
    borne: Borne,
    hold: Option<String>,
    late: bool,
}

/// The parts that pay `credits`, as far as they go, and those that are left.
fn split(parts: Vec<Part>, credits: i64) -> (Vec<Part>, Vec<Part>) {
    let (mut paid, mut rest, mut left) = (Vec::new(), Vec::new(), credits);
    for (id, part) in parts {
        let taken = part.min(left);
        left -= taken;
        paid.push((id.clone(), taken));
        rest.push((id, part - taken));
    }
    paid.retain(|(_, part)| *part > 0);
    rest.retain(|(_, part)| *part > 0);
    (paid, rest)
}

fn sum(parts: &[Part]) -> i64 {
    parts.iter().map(|(_, credits)| credits).sum()
}

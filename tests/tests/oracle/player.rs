//! One wallet with its story: makes requests out of steps, and compares what comes back with the
//! oracle.

use std::sync::Arc;

use server::credits::Balance;
use server::gate::{self, Answer, Caller, Capture, Item, Line, NewHold, Operation, Request};
use server::units::{Credits, Quantity};

use super::ground::Stranger;
use super::order::{self, Heard, Rows};
use super::rules::METERS;
use super::story::{Back, Giving, Need, Share, Step, Story, Twin, What};
use super::wallet::{Use, Wallet};
use super::words::{self, Ask, Gift, Names, Outcome, Tick, span};

/// One org on its way through its story.
pub struct Player {
    pub org_id: String,
    pub story: Arc<Story>,
    pub wallet: Wallet,
    stranger: Stranger,
    sent: Vec<Request>,
    gifts: Vec<Gift>,
    keys: usize,
    /// The last place in the wallet's order that was told.
    seq: i64,
    /// Everything that was asked and answered, with its tick.
    history: Vec<(Tick, Heard)>,
}

/// What came back.
pub enum Reply {
    Answer(Answer),
    Grant(Option<String>),
    Capped,
}

impl Player {
    pub fn new(org_id: String, story: Arc<Story>, now: Tick, stranger: Stranger) -> Self {
        let wallet = Wallet::new(Arc::new(story.terms.clone()), now);
        Self {
            org_id,
            story,
            wallet,
            stranger,
            sent: Vec::new(),
            gifts: Vec::new(),
            keys: 0,
            seq: 0,
            history: Vec::new(),
        }
    }

    /// What it begins with.
    pub fn opening(&mut self) -> Vec<Ask> {
        let story = self.story.clone();
        story.gifts.iter().map(|giving| self.give(giving)).collect()
    }

    /// What the steps of a round ask for. What they are about was made before the round.
    pub fn asks(&mut self, round: usize) -> Vec<Ask> {
        let story = self.story.clone();
        let mut asks = Vec::new();
        for Step { what, twin } in &story.rounds[round] {
            let Some(ask) = self.ask(what) else { continue };
            let second = match (&ask, twin) {
                (Ask::Write(request), Some(twin)) => Some(again(request, *twin)),
                _ => None,
            };
            asks.push(ask);
            asks.extend(second.map(Ask::Write));
        }
        for ask in &asks {
            if let Ask::Write(request) = ask {
                self.sent.push(request.clone());
            }
        }
        asks
    }

    fn ask(&mut self, what: &What) -> Option<Ask> {
        let hold = |back: &Back| self.pick_hold(*back);
        let operation = match what {
            What::Consume(need) => Operation::Consume(need.to_use()),
            What::Item(need, over) => {
                Operation::Item(Item { what: need.to_use(), over: *over, at: None })
            }
            What::Hold(need, ttl) => {
                Operation::Hold(NewHold { what: need.to_use(), ttl: span(*ttl) })
            }
            What::Capture(back, share, over) => {
                let (hold, used) = (hold(back)?, share.to_used());
                Operation::Capture(Capture { hold, used, over: *over, cost: None })
            }
            What::Release(back) => Operation::Release { hold: hold(back)? },
            What::Extend(back, ttl) => Operation::Extend { hold: hold(back)?, ttl: span(*ttl) },
            What::Reverse(back) => {
                let usage = self.pick_usage(*back)?;
                Operation::Reverse { usage, reason: "the oracle says so".to_owned() }
            }
            What::ReleaseRun(run) => Operation::ReleaseRun { run: run_name(*run) },
            What::Give(giving) => return Some(self.give(giving)),
            What::Cap(cap) => {
                return Some(Ask::Cap(cap.map(|(whole, hard)| (whole * 1_000_000, hard))));
            }
            What::Repeat(back, twin) => {
                let request = self.sent.iter().rev().nth(*back)?;
                return Some(Ask::Write(again(request, *twin)));
            }
        };
        // The keys are the same in every org: nobody's keys are another's concern. (D20)
        self.keys += 1;
        let key = format!("key {}", self.keys);
        let fingerprint = "the same".to_owned();
        let (org_id, caller) = (self.org_id.clone(), Caller::Key { id: "key_oracle".to_owned() });
        Some(Ask::Write(Request { org_id, caller, key, fingerprint, what: operation }))
    }

    fn pick_hold(&self, back: Back) -> Option<String> {
        let holds = &self.wallet.holds;
        let now = self.wallet.now;
        let open = holds.iter().filter(|hold| hold.status == "open" && hold.expires >= now);
        let (open, all) = (open.map(|hold| &hold.id), holds.iter().map(|hold| &hold.id));
        pick(open, all, back, &self.stranger.hold)
    }

    /// Any line's name stands for the whole use: one from the middle is taken.
    fn pick_usage(&self, back: Back) -> Option<String> {
        let uses = &self.wallet.uses;
        let open = uses.iter().filter(|used| !used.reversed);
        let name = |used: &'_ Use| used.ids[used.ids.len() / 2].clone();
        let (open, all): (Vec<_>, Vec<_>) =
            (open.map(name).collect(), uses.iter().map(name).collect());
        pick(open.iter(), all.iter(), back, &self.stranger.usage)
    }

    fn give(&mut self, giving: &Giving) -> Ask {
        let Giving { source, credits, lives, starts, again } = giving.clone();
        if let Some(last) = self.gifts.last().filter(|_| again) {
            return Ask::Give(last.clone());
        }
        let source_ref = format!("{} {}", self.org_id, self.gifts.len());
        let now = self.wallet.now;
        let (starts, expires) = (starts.map(|wait| now + wait), lives.map(|lives| now + lives));
        let gift = Gift { source, source_ref, credits, starts, expires };
        self.gifts.push(gift.clone());
        Ask::Give(gift)
    }

    /// Compares a round with the oracle: every answer, and the rows afterwards where they are
    /// settled.
    pub fn hear(
        &mut self,
        replies: Vec<(Ask, Reply)>,
        rows: &Rows,
        returned: &[(String, i64)],
    ) -> Result<(), String> {
        let mut heard = Vec::new();
        for (ask, reply) in replies {
            heard.push(hear(ask, reply, returned)?);
        }
        let (now, before) = (self.wallet.now, self.seq);
        self.history.extend(heard.iter().map(|one| (now, one.clone())));
        for seq in heard.iter().filter_map(|one| one.seq) {
            if seq <= before {
                return Err(format!("seq {seq} was passed before: {before} was told"));
            }
            self.seq = self.seq.max(seq);
        }
        if heard.iter().any(Heard::settles) {
            self.wallet.settle();
        }
        self.wallet = order::explain(&self.wallet, &heard, rows)?;
        Ok(())
    }

    /// The wallet as a reader sees it: what is due is done already, though nobody booked it.
    pub fn seen(&self) -> Wallet {
        let mut wallet = self.wallet.clone();
        wallet.settle();
        wallet
    }

    /// Compares what a reader sees, who books nothing, with the oracle.
    pub fn look(&self, seen: &Balance) -> Result<(), String> {
        let wallet = self.seen();
        let grants = seen.grants.iter().map(|grant| (grant.id.clone(), grant.remaining.micros()));
        let begun = wallet.grants.iter().filter(|grant| grant.left > 0);
        let begun = begun.filter(|grant| grant.starts.is_none_or(|starts| starts < wallet.now));
        let expected: Vec<(String, i64)> =
            begun.map(|grant| (grant.id.clone(), grant.left)).collect();
        let got: Vec<(String, i64)> = grants.collect();
        let sums = |credits: [Credits; 4]| credits.map(Credits::micros);
        let (debt, overage) = (wallet.debt, wallet.overage);
        let expected = (expected, [wallet.available(), wallet.held(), debt, overage]);
        let got = (got, sums([seen.available, seen.held, seen.debt, seen.overage]));
        if expected == got {
            return Ok(());
        }
        Err(format!("the balance\n    expected {expected:?}\n    got      {got:?}"))
    }

    /// Every answer that was compared.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.history.iter().map(|(_, one)| &one.outcome)
    }

    /// Everything that happened, for people.
    pub fn transcript(&self) -> String {
        let mut text = format!("{:?}", self.story.terms);
        for (tick, one) in &self.history {
            let at = tick - self.wallet.created;
            text += &format!("\n  tick {at}: {}\n      -> {:?}", one.ask, one.outcome);
        }
        text
    }
}

fn hear(ask: Ask, reply: Reply, returned: &[(String, i64)]) -> Result<Heard, String> {
    let mut seq = None;
    let (outcome, mut names) = match reply {
        Reply::Answer(answer) => {
            let outcome = words::read(&answer)?;
            if is_new(&ask, &outcome) {
                seq = words::seq(&answer);
            }
            (outcome, words::names(&answer))
        }
        Reply::Grant(made) => {
            let outcome = Outcome::Given(made.is_some());
            (outcome, Names { id: made.unwrap_or_default(), ..Names::default() })
        }
        Reply::Capped => (Outcome::Capped, Names::default()),
    };
    names.returned = returned.to_vec();
    Ok(Heard { ask, outcome, names, seq })
}

/// Whether the answer is about something that it made, so that its `seq` is its own.
fn is_new(ask: &Ask, outcome: &Outcome) -> bool {
    let Ask::Write(request) = ask else { return false };
    match (&request.what, outcome) {
        (Operation::Hold(_), Outcome::Held(_)) => true,
        (Operation::Reverse { .. }, _) => false,
        (_, Outcome::Used(_)) => true,
        _ => false,
    }
}

fn again(request: &Request, twin: Twin) -> Request {
    let mut request = request.clone();
    if twin == Twin::Other {
        request.fingerprint = "something else".to_owned();
    }
    request
}

/// The one that is meant; none where there are none.
fn pick<'a>(
    open: impl DoubleEndedIterator<Item = &'a String>,
    all: impl DoubleEndedIterator<Item = &'a String>,
    back: Back,
    stranger: &str,
) -> Option<String> {
    let nth = |back: usize, from: Vec<&String>| {
        let count = from.len();
        (count > 0).then(|| from[count - 1 - back % count].clone())
    };
    match back {
        Back::Open(back) => nth(back, open.collect()),
        Back::Any(back) => nth(back, all.collect()),
        Back::Stranger => Some(stranger.to_owned()),
    }
}

fn run_name(run: usize) -> String {
    format!("run {run}")
}

impl Need {
    fn to_use(&self) -> gate::Use {
        gate::Use {
            model: self.model.map(str::to_owned),
            feature: self.feature.map(str::to_owned),
            run: self.run.map(run_name),
            ..words::use_of(METERS[self.meter].name, Quantity::from_micros(self.quantity))
        }
    }
}

impl Share {
    fn to_used(&self) -> gate::Used {
        match self {
            Self::Quantity(quantity) => gate::Used::Quantity(Quantity::from_micros(*quantity)),
            Self::Lines(lines) => {
                let lines = lines.iter().map(|(meter, quantity, model)| Line {
                    meter: METERS[*meter].name.to_owned(),
                    quantity: Quantity::from_micros(*quantity),
                    model: model.map(str::to_owned),
                });
                gate::Used::Lines(lines.collect())
            }
        }
    }
}

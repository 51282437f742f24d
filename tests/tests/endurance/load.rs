//! Many customers at once, seen from outside: how many answers they have, and what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::caller::{Caller, Wallet};
use crate::customer::{Customer, Told};
use crate::server::Server;

/// Customers at work.
pub struct Load {
    customers: JoinSet<Vec<Told>>,
    answered: watch::Receiver<u64>,
    open: watch::Sender<bool>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Sends `each` customers to every wallet, by turns at home with each of the servers. What each
    /// of them does follows from `seed`.
    pub fn start(servers: &[Server], wallets: &[Wallet], each: usize, seed: u64) -> Self {
        let (open, opened) = watch::channel(true);
        let (count, answered) = watch::channel(0);
        let (count, stop) = (Arc::new(count), Arc::new(AtomicBool::new(false)));
        let mut customers = JoinSet::new();
        for (number, wallet) in wallets.iter().enumerate() {
            let caller = Caller::new(servers, wallet, opened.clone());
            for one in 0..each {
                let name = format!("customer-{number}-{one}");
                let seed = seed ^ ((number * each + one + 1) as u64).rotate_right(16);
                let customer = Customer::new(caller.moved(one), number, name, seed, count.clone());
                customers.spawn(customer.work(stop.clone()));
            }
        }
        Self { customers, answered, open, stop }
    }

    /// How many answers there are.
    pub fn answered(&self) -> u64 {
        *self.answered.borrow()
    }

    /// Waits until there are so many answers. A customer that fails fails the story.
    pub async fn reach(&mut self, target: u64) {
        let reached = self.answered.wait_for(|count| *count >= target);
        tokio::select! {
            reached = reached => drop(reached.expect("customers are at work")),
            ended = self.customers.join_next() => panic!("a customer gave up: {ended:?}"),
        }
    }

    /// Nobody asks anything new until [`Self::open`].
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// The server is back.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Lets everybody finish what they began, and tells what they were told.
    pub async fn finish(self) -> Vec<Told> {
        self.stop.store(true, Ordering::Relaxed);
        self.customers.join_all().await.into_iter().flatten().collect()
    }
}

//! All products and prices together: which may be sold, and which contradict each other. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::stripe::shapes::{Price, Product, TAG};

use super::parse::{self, Definition, Kind, Problem};
use super::price;

/// The tagged part of an account, judged.
#[derive(Debug, Default)]
pub struct Judged {
    /// Products without a mistake.
    pub products: Vec<JudgedProduct>,
    /// Prices of those products, without a mistake.
    pub prices: Vec<JudgedPrice>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// Every tagged product, good or bad.
    pub tagged: HashSet<String>,
    /// Products that ask for money, or did once.
    asking: HashSet<String>,
}

/// A product and what it defines.
#[derive(Debug)]
pub struct JudgedProduct {
    /// As it came.
    pub product: Product,
    /// As it was read.
    pub definition: Definition,
    /// Offered to buyers.
    pub sold: bool,
    /// In force without paying.
    pub free: bool,
}

/// A price.
#[derive(Debug)]
pub struct JudgedPrice {
    /// As it came.
    pub price: Price,
    /// What it is of.
    pub product_id: String,
    /// Offered to buyers.
    pub sold: bool,
}

/// Judges what carries the tag; everything else is not ours and not looked at. (F13)
pub fn judge(products: Vec<Product>, prices: Vec<Price>, tag: &str) -> Judged {
    let mut judged = Judged::default();
    for product in products {
        if product.metadata.get(TAG).map(String::as_str) != Some(tag) {
            continue;
        }
        judged.tagged.insert(product.id.clone());
        match parse::product(&product) {
            Ok(definition) => {
                let sold = product.active;
                judged.products.push(JudgedProduct { product, definition, sold, free: false });
            }
            // An archived product is not sold anyway: nobody has to put it right.
            Err(problems) if product.active => judged.problems.extend(problems),
            Err(_) => {}
        }
    }
    judged.take_prices(prices, tag);
    judged.choose_prices();
    judged.choose_free();
    judged.choose_tiers();
    judged.problems.sort();
    judged.problems.dedup_by(|a, b| a.object_id == b.object_id && a.name == b.name);
    judged
}

impl Judged {
    fn take_prices(&mut self, prices: Vec<Price>, tag: &str) {
        let definitions: HashMap<&str, (&Definition, bool)> = self
            .products
            .iter()
            .map(|judged| (judged.product.id.as_str(), (&judged.definition, judged.sold)))
            .collect();
        for price in prices {
            let Some(product_id) = price.product.clone() else { continue };
            let Some((definition, offered)) = definitions.get(product_id.as_str()) else {
                continue;
            };
            if price.unit_amount != Some(0) {
                self.asking.insert(product_id.clone());
            }
            match price::check(&price, definition, tag) {
                Ok(()) => {
                    let sold = price.active;
                    self.prices.push(JudgedPrice { price, product_id, sold });
                }
                Err(problem) if price.active && *offered => self.problems.push(problem),
                Err(_) => {}
            }
        }
    }

    /// Of several prices for the same product, currency and interval one is sold: the one with a
    /// lookup key, then the newest, then the greater id, so that the choice never changes. (C5)
    fn choose_prices(&mut self) {
        let mut groups: BTreeMap<_, Vec<&mut JudgedPrice>> = BTreeMap::new();
        for judged in self.prices.iter_mut().filter(|judged| judged.sold) {
            let every = judged.price.recurring.as_ref();
            let every = every.map(|every| (every.interval.clone(), every.interval_count));
            let group = (judged.product_id.clone(), judged.price.currency.clone(), every);
            groups.entry(group).or_default().push(judged);
        }
        for (_, mut rivals) in groups {
            rivals.sort_by_key(|judged| {
                let price = &judged.price;
                Reverse((price.lookup_key.is_some(), price.created, price.id.clone()))
            });
            let mut rivals = rivals.into_iter();
            let chosen = rivals.next().map(|judged| judged.price.id.clone()).unwrap_or_default();
            for loser in rivals {
                loser.sold = false;
                let message =
                    format!("{chosen} is sold for the same interval; archive one of them");
                let object_id = loser.price.id.clone();
                self.problems.push(Problem { object_id, name: "price".into(), message });
            }
        }
    }

    /// The free tier is the lowest plan with a price of zero, or without any price it ever asked.
    /// A plan whose prices were all archived is not free; it is merely not sold.
    fn choose_free(&mut self) {
        let zero = |judged: &&JudgedPrice| judged.sold && judged.price.unit_amount == Some(0);
        let gives: HashSet<String> =
            self.prices.iter().filter(zero).map(|judged| judged.product_id.clone()).collect();
        let asks = &self.asking;
        let mut candidates: Vec<&mut JudgedProduct> = self
            .products
            .iter_mut()
            .filter(|judged| judged.sold && matches!(judged.definition.kind, Kind::Plan { .. }))
            .filter(|judged| {
                gives.contains(&judged.product.id) || !asks.contains(&judged.product.id)
            })
            .collect();
        candidates.sort_by_key(|judged| order(judged));
        let mut candidates = candidates.into_iter();
        let Some(free) = candidates.next() else { return };
        free.free = true;
        let chosen = free.product.id.clone();
        for other in candidates {
            other.sold = asks.contains(&other.product.id);
            let message = format!("has no price, but {chosen} is the free tier; give it a price");
            let object_id = other.product.id.clone();
            self.problems.push(Problem { object_id, name: "price".into(), message });
        }
    }

    /// Of several products for the same tier the oldest is sold. (C5)
    fn choose_tiers(&mut self) {
        let mut taken: HashMap<String, String> = HashMap::new();
        let mut sold: Vec<&mut JudgedProduct> =
            self.products.iter_mut().filter(|judged| judged.sold).collect();
        sold.sort_by_key(|judged| {
            (!judged.free, judged.product.created, judged.product.id.clone())
        });
        for judged in sold {
            let (Kind::Plan { tier, .. } | Kind::Addon { tier, .. }) = &judged.definition.kind
            else {
                continue;
            };
            if let Some(first) = taken.get(tier) {
                let message = format!("“{tier}” is already sold by {first}; archive one of them");
                let object_id = judged.product.id.clone();
                self.problems.push(Problem { object_id, name: "tier".into(), message });
                judged.sold = false;
                continue;
            }
            taken.insert(tier.clone(), judged.product.id.clone());
        }
    }
}

fn order(judged: &JudgedProduct) -> (i64, i64, String) {
    (judged.definition.rank, judged.product.created, judged.product.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::shapes::{Metadata, Recurring};

    fn plan(id: &str, tier: &str, rank: i64, tag: &str) -> Product {
        let rank = rank.to_string();
        let pairs = [
            (TAG, tag),
            ("kind", "plan"),
            ("tier", tier),
            ("included_credits", "5"),
            ("rank", &rank),
        ];
        let metadata: Metadata =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Product { id: id.into(), active: true, metadata, ..Product::default() }
    }

    fn monthly(id: &str, product: &str, amount: i64, key: Option<&str>, created: i64) -> Price {
        let every =
            Recurring { interval: "month".into(), interval_count: 1, ..Recurring::default() };
        Price {
            id: id.into(),
            active: true,
            currency: "usd".into(),
            unit_amount: Some(amount),
            product: Some(product.into()),
            recurring: Some(every),
            lookup_key: key.map(str::to_owned),
            created,
            ..Price::default()
        }
    }

    fn sold(judged: &Judged) -> (Vec<&str>, Vec<&str>) {
        let products = judged.products.iter().filter(|p| p.sold).map(|p| p.product.id.as_str());
        let prices = judged.prices.iter().filter(|p| p.sold).map(|p| p.price.id.as_str());
        (products.collect(), prices.collect())
    }

    #[test]
    fn another_tags_products_do_not_exist() {
        // F13
        let products = vec![plan("prod_a", "pro", 1, "ours"), plan("prod_b", "pro", 1, "theirs")];
        let prices = vec![monthly("p1", "prod_a", 5, None, 1), monthly("p2", "prod_b", 5, None, 1)];
        let judged = judge(products, prices, "ours");
        assert_eq!(sold(&judged), (vec!["prod_a"], vec!["p1"]));
        assert!(judged.problems.is_empty());
    }

    #[test]
    fn a_bad_product_is_reported_and_the_rest_is_sold() {
        // C3
        let mut bad = plan("prod_bad", "team", 2, "t");
        bad.metadata.insert("included_credits".into(), "1e9".into());
        let products = vec![plan("prod_a", "pro", 1, "t"), bad];
        let prices =
            vec![monthly("p1", "prod_a", 5, None, 1), monthly("p2", "prod_bad", 5, None, 1)];
        let judged = judge(products, prices, "t");
        assert_eq!(sold(&judged), (vec!["prod_a"], vec!["p1"]));
        assert_eq!(judged.problems[0].object_id, "prod_bad");
        assert!(judged.tagged.contains("prod_bad"));
    }

    #[test]
    fn conflicts_are_chosen_the_same_way_every_time() {
        // C5
        let prices = vec![
            monthly("p_old", "prod_a", 5, Some("key"), 1),
            monthly("p_new", "prod_a", 6, None, 9),
        ];
        let products = vec![plan("prod_a", "pro", 1, "t"), plan("prod_b", "pro", 1, "t")];
        let mut reversed = prices.clone();
        reversed.reverse();
        for prices in [prices, reversed] {
            let more = [prices, vec![monthly("p_b", "prod_b", 5, None, 1)]].concat();
            let judged = judge(products.clone(), more, "t");
            let (products, prices) = sold(&judged);
            assert_eq!(products, ["prod_a"]);
            assert!(prices.contains(&"p_old") && !prices.contains(&"p_new"));
            let names: Vec<&str> = judged.problems.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names, ["price", "tier"]);
        }
    }

    #[test]
    fn only_the_lowest_plan_without_a_price_is_free() {
        let mut archived = monthly("p_x", "prod_c", 5, None, 1);
        archived.active = false;
        let products = vec![
            plan("prod_c", "gone", 0, "t"),
            plan("prod_b", "basic", 5, "t"),
            plan("prod_a", "free", 1, "t"),
        ];
        let judged = judge(products, vec![archived], "t");
        let free = judged.products.iter().filter(|p| p.free).map(|p| p.product.id.as_str());
        assert_eq!(free.collect::<Vec<_>>(), ["prod_a"]);
        assert_eq!(judged.problems.len(), 1);
        assert_eq!(judged.problems[0].object_id, "prod_b");
    }
}

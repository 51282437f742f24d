//! Starting: what is wrong is told at once, by name, and nothing is served on a false footing.

use server::config::Config;
use server::engine::Engine;
use server::error::Error;
use tests::World;

/// Starts a second engine on the world's database with these variables.
async fn start(world: &World, vars: &[(&str, &str)]) -> Result<Engine, Error> {
    let lookup = |name: &str| {
        let given = vars.iter().find(|(variable, _)| *variable == name);
        let usual = [("DATABASE_URL", world.database.url.as_str())];
        let found = given.or_else(|| usual.iter().find(|(variable, _)| *variable == name));
        found.map(|(_, value)| (*value).to_owned())
    };
    let config = Config::from_vars("turnpike", lookup).expect("a valid configuration");
    Engine::start(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_one_stripe_mode_refuses_a_key_of_the_other() {
    // I15
    let world = World::new().await;
    let error = start(&world, &[("STRIPE_SECRET_KEY", "sk_live_1")]).await.err().expect("refused");
    assert!(error.to_string().contains("test mode"), "{error}");
    assert!(matches!(error, Error::Invalid { field, .. } if field == "STRIPE_SECRET_KEY"));
    start(&world, &[("STRIPE_SECRET_KEY", "sk_test_2")]).await.expect("the same mode").stop().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_card_that_was_in_force_cannot_change_under_its_version() {
    let world = World::new().await;
    let card = |text: &str, name: &str| {
        let path = world.folder().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let version = &world.engine.rates.version;
    let meter = |rate: &str| {
        format!("[meters.text]\nlabel = \"Text\"\nunit = \"text\"\nrate = \"{rate}\"\n")
    };
    let changed = card(&format!("version = \"{version}\"\n{}", meter("2")), "changed.toml");
    let error = start(&world, &[("RATES_FILE", &changed)]).await.err().expect("refused");
    assert!(error.to_string().contains("give the changed card a new version"), "{error}");
    let renamed = card(&format!("version = \"next\"\n{}", meter("2")), "renamed.toml");
    start(&world, &[("RATES_FILE", &renamed)]).await.expect("a new version").stop().await;
    world.end().await;
}

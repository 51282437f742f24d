//! Trying something out: it is lived through for real and then taken back, and nobody is told.
//!
//! Previews are made this way, so that they can never differ from what happens later.

use super::World;

impl World {
    /// Does the work and undoes all of it but its answer: objects, clock and settings are as
    /// before, and no event leaves.
    pub fn rehearse<T>(&mut self, work: impl FnOnce(&mut World) -> T) -> T {
        let (frozen, settings) = (self.frozen, self.settings.clone());
        let changed = self.settings_changed;
        self.store.set_aside();
        let answer = work(self);
        self.store.take_back();
        self.frozen = frozen;
        self.settings = settings;
        self.settings_changed = changed;
        answer
    }
}

//! The pace of the requests that share one rate: never above our share, and below it where others use the rate too. It feels for
//! what is left, remembers it, and stays there. The clock is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// The part by which the pace tries more than what was borne. What the platform keeps for bursts is used up by it slowly, so that a
/// refusal is rare and yet nothing is left unused. The numbers were found with a bucket of one second's tokens and with windows
/// of one second, beside others who use a part.
const PROBE: f64 = 0.002;
/// After so long without a refusal the pace would be twice what was borne: hardly any more for half of this time, since the limit
/// is near, then ever more, since it has gone.
const PLATEAU: Duration = Duration::from_secs(170);
const STEEPNESS: i32 = 6;
/// A refusal makes the pace slower by this part at most; each that follows within [`SOON`] by twice the part of the one before.
const SLOWER: f64 = 0.03;
const SLOWER_AT_MOST: f64 = 0.5;
const SOON: Duration = Duration::from_secs(10);
/// The pace never falls below this part of our share: somebody else's flood must not end a fence.
const SLOWEST: f64 = 0.1;
/// What was missed of the pace, since timers and callers are late, is made up for up to this, never faster than the share.
const MADE_UP: Duration = Duration::from_millis(500);
/// The platform keeps so much of what is not used.
const SAVED_UP: Duration = Duration::from_secs(1);

/// What the platform bore, and when the next request may go.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The time between two requests at our full share.
    shortest: Duration,
    /// How many of the platform's seconds pass in one of ours.
    scale: f64,
    /// Requests a second that the platform is believed to bear.
    borne: f64,
    /// When the next request may go, by the pace. It lies in the past if nobody came.
    next: Instant,
    /// No sooner than this: the share, and the pause after a refusal.
    not_before: Instant,
    refusal: Option<Refusal>,
}

/// The newest refusal, and what came since. At a refusal nothing is left of what the platform keeps for bursts, so what got
/// through from one to the next is what it bears.
#[derive(Debug)]
struct Refusal {
    at: Instant,
    /// From here on is counted: what a pause takes longer than the platform saves up for is no measure.
    counted_from: Instant,
    let_through: u32,
    /// Time in which nobody had anything to send.
    idle: Duration,
    /// How many came soon after another before it.
    in_a_row: i32,
}

impl Pace {
    /// At full share, `shortest` apart.
    pub(crate) fn new(shortest: Duration, scale: f64, now: Instant) -> Self {
        Self {
            shortest,
            scale,
            borne: 1.0 / shortest.as_secs_f64(),
            next: now,
            not_before: now,
            refusal: None,
        }
    }

    fn full(&self) -> f64 {
        1.0 / self.shortest.as_secs_f64()
    }

    fn ours(&self, time: Duration) -> Duration {
        time.div_f64(self.scale)
    }

    /// Requests a second now.
    fn rate(&self, now: Instant) -> f64 {
        let Some(refusal) = &self.refusal else {
            return self.full();
        };
        let calm = now.saturating_duration_since(refusal.at).as_secs_f64();
        let growth = (calm / self.ours(PLATEAU).as_secs_f64()).powi(STEEPNESS);
        (self.borne * (1.0 + PROBE + growth)).min(self.full())
    }

    /// One request asks for its turn: it may go now, or must ask again then.
    pub(crate) fn turn(&mut self, now: Instant) -> Result<(), Instant> {
        let due = self.next.max(self.not_before);
        if due > now {
            return Err(due);
        }
        let interval = Duration::from_secs_f64(1.0 / self.rate(now));
        let earliest = before(now, self.ours(MADE_UP));
        if let Some(refusal) = &mut self.refusal {
            refusal.let_through = refusal.let_through.saturating_add(1);
            refusal.idle += earliest.saturating_duration_since(self.next);
        }
        self.next = self.next.max(earliest) + interval;
        // Timers fire late; at most one turn is made up for, so that the share is used and no second sees more of us.
        self.not_before = self.not_before.max(before(now, self.shortest)) + self.shortest;
        Ok(())
    }

    /// The platform said at `now` that a request which went off at `sent` was too much: nothing goes off for `pause`, and then
    /// less than before.
    pub(crate) fn refused(&mut self, now: Instant, sent: Instant, pause: Duration) {
        let resumed = now.checked_add(pause).unwrap_or(now);
        // What was missed is not made up for: it fills up what the platform keeps for bursts, which the pace lives on.
        self.next = self.next.max(resumed);
        self.not_before = self.not_before.max(resumed);
        // Requests that were under way together are refused together: that is one refusal.
        if self.refusal.as_ref().is_some_and(|r| sent < r.at) {
            return;
        }
        let rate = self.rate(now);
        let soon = self
            .refusal
            .as_ref()
            .filter(|r| now.duration_since(r.at) < self.ours(SOON));
        let in_a_row = soon.map_or(0, |r| r.in_a_row.saturating_add(1));
        let at_most = (SLOWER * 2_f64.powi(in_a_row)).min(SLOWER_AT_MOST);
        let measured = self.refusal.as_ref().map_or(0.0, |r| r.measured(now));
        self.borne = measured
            .max(rate * (1.0 - at_most))
            .min(rate)
            .max(self.full() * SLOWEST);
        self.refusal = Some(Refusal {
            at: now,
            counted_from: now.max(before(resumed, self.ours(SAVED_UP))),
            let_through: 0,
            idle: Duration::ZERO,
            in_a_row,
        });
    }
}

impl Refusal {
    /// Requests a second that were let through since this refusal, but for the one that was refused now.
    fn measured(&self, now: Instant) -> f64 {
        let time = now
            .saturating_duration_since(self.counted_from)
            .saturating_sub(self.idle)
            .as_secs_f64();
        if time <= 0.0 {
            return 0.0;
        }
        f64::from(self.let_through.saturating_sub(1)) / time
    }
}

fn before(now: Instant, time: Duration) -> Instant {
    now.checked_sub(time).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHORTEST: Duration = Duration::from_nanos(105_263_158);
    const LATENCY: Duration = Duration::from_millis(30);

    /// How a platform counts.
    #[derive(Clone, Copy, Debug)]
    enum Counts {
        /// It saves up what is not used, for a second.
        Bucket,
        /// Anew in each second.
        Windows,
    }

    /// A platform that bears ten requests a second, of which others send a part, at even times.
    struct Platform {
        counts: Counts,
        start: Instant,
        tokens: f64,
        at: Instant,
        window: u64,
        in_window: u32,
        others: Instant,
    }

    impl Platform {
        fn new(counts: Counts, start: Instant) -> Self {
            Self {
                counts,
                start,
                tokens: 10.0,
                at: start,
                window: 0,
                in_window: 0,
                others: start,
            }
        }

        fn take(&mut self, now: Instant) -> bool {
            match self.counts {
                Counts::Bucket => {
                    let refill = now.duration_since(self.at).as_secs_f64() * 10.0;
                    self.tokens = (self.tokens + refill).min(10.0);
                    self.at = now;
                    let bears = self.tokens >= 1.0;
                    self.tokens -= if bears { 1.0 } else { 0.0 };
                    bears
                }
                Counts::Windows => {
                    let window = now.duration_since(self.start).as_secs();
                    if window != self.window {
                        (self.window, self.in_window) = (window, 0);
                    }
                    let bears = self.in_window < 10;
                    self.in_window += u32::from(bears);
                    bears
                }
            }
        }

        fn ours(&mut self, now: Instant, others: f64) -> bool {
            while self.others <= now {
                let at = self.others;
                let asks = others > 0.0;
                if asks {
                    self.take(at);
                }
                let every = if asks { 1.0 / others } else { 0.1 };
                self.others = at + Duration::from_secs_f64(every);
            }
            self.take(now)
        }
    }

    /// What became of the requests of so many seconds, beside others who send so many a second.
    fn work(
        pace: &mut Pace,
        platform: &mut Platform,
        now: &mut Instant,
        seconds: u64,
        others: f64,
    ) -> (u32, u32) {
        let (mut accepted, mut refused) = (0, 0);
        let end = *now + Duration::from_secs(seconds);
        while *now < end {
            match pace.turn(*now) {
                Err(then) => *now = then,
                Ok(()) if platform.ours(*now, others) => accepted += 1,
                Ok(()) => {
                    refused += 1;
                    pace.refused(*now + LATENCY, *now, Duration::from_secs(1));
                }
            }
        }
        (accepted, refused)
    }

    #[test]
    fn what_others_leave_is_used_and_little_is_refused() {
        for (counts, others, least) in [
            (Counts::Bucket, 0.0, 0.99),
            (Counts::Bucket, 3.0, 0.99),
            (Counts::Bucket, 5.0, 0.99),
            (Counts::Windows, 0.0, 0.99),
            (Counts::Windows, 3.0, 0.93),
            (Counts::Windows, 5.0, 0.93),
        ] {
            let start = Instant::now();
            let (mut pace, mut now) = (Pace::new(SHORTEST, 1.0, start), start);
            let mut platform = Platform::new(counts, start);
            let (accepted, refused) = work(&mut pace, &mut platform, &mut now, 1700, others);
            let left = (10.0 - others).min(9.5) * 1700.0;
            let used = f64::from(accepted) / left;
            assert!(used > least, "{counts:?} beside {others}: {used}");
            let part = f64::from(refused) / f64::from(accepted + refused);
            assert!(part < 0.005, "{counts:?} beside {others}: {part} refused");
        }
    }

    #[test]
    fn the_full_share_comes_back_when_the_others_are_gone_or_a_flood_is_over() {
        for flood in [6.0, 10.5] {
            let start = Instant::now();
            let (mut pace, mut now) = (Pace::new(SHORTEST, 1.0, start), start);
            let mut platform = Platform::new(Counts::Bucket, start);
            work(&mut pace, &mut platform, &mut now, 120, flood);
            assert!(pace.rate(now) < 5.0, "{} beside {flood}", pace.rate(now));
            work(&mut pace, &mut platform, &mut now, 260, 0.0);
            assert!((pace.rate(now) - pace.full()).abs() < 1e-9);
        }
    }

    #[test]
    fn requests_that_were_refused_together_slow_the_pace_down_once() {
        let sent = Instant::now();
        let mut pace = Pace::new(SHORTEST, 1.0, sent);
        let answered = sent + Duration::from_millis(50);
        pace.refused(answered, sent, Duration::ZERO);
        let once = pace.borne;
        pace.refused(answered, sent, Duration::ZERO);
        assert!((pace.borne - once).abs() < 1e-9);
        assert!(once < pace.full());
    }

    #[test]
    fn time_in_which_nobody_asks_is_not_taken_for_a_low_limit() {
        let start = Instant::now();
        let mut pace = Pace::new(SHORTEST, 1.0, start);
        pace.refused(start, start, Duration::from_secs(1));
        let much_later = start + Duration::from_secs(60);
        for n in 0..20 {
            let now = much_later + SHORTEST * n;
            assert_eq!(pace.turn(now), Ok(()));
        }
        let now = much_later + SHORTEST * 20;
        pace.refused(now, now, Duration::from_secs(1));
        assert!(pace.borne > pace.full() * 0.9, "{}", pace.borne);
    }

    proptest! {
        /// Whenever requests come and whatever the platform refuses: no stretch of time sees more than the share, but for the one
        /// at its beginning and the one turn that is made up for.
        #[test]
        fn no_stretch_of_time_sees_more_than_the_share(
            waits in prop::collection::vec((0_u64..400, any::<bool>(), 0_u64..1500), 50..400)
        ) {
            let start = Instant::now();
            let (mut pace, mut now) = (Pace::new(SHORTEST, 1.0, start), start);
            let mut gone = Vec::new();
            for (wait, is_refused, pause) in waits {
                now += Duration::from_millis(if wait < 300 { 0 } else { wait * 5 });
                while let Err(then) = pace.turn(now) {
                    prop_assert!(then > now);
                    now = then;
                }
                gone.push(now);
                if is_refused && wait % 7 == 0 {
                    pace.refused(now, now, Duration::from_millis(pause));
                }
            }
            for (first, from) in gone.iter().enumerate() {
                for (more, to) in gone.iter().skip(first).enumerate() {
                    let time = to.duration_since(*from).as_secs_f64();
                    let share = time / SHORTEST.as_secs_f64();
                    prop_assert!(more as f64 <= share + 1.0 + 1e-6, "{} in {time} s", more + 1);
                }
            }
        }
    }
}

//! The numbers the locks compare with. A configuration may make them stricter, never laxer.

/// What each lock asks. [`Thresholds::default`] is the measured rule; [`Thresholds::enforced`] takes back what is laxer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// t above this allows `careful`.
    pub t_careful: f64,
    /// t above this allows `manual`.
    pub t_manual: f64,
    /// t above this allows `auto`.
    pub t_auto: f64,
    /// Executions after the change.
    pub executions_min: f64,
    /// Blocks after the change.
    pub blocks_after_min: f64,
    /// Blocks before the change at the hours of day seen after it.
    pub same_hour_blocks_min: f64,
    /// Days before the change, for more than `careful`.
    pub baseline_days_min: f64,
    /// Statements without a change of plan, for more than `careful`.
    pub control_statements_min: f64,
    /// The step of the medians in standard errors.
    pub block_t_min: f64,
    /// Independent blocks in each arm, for more than `careful`.
    pub effective_blocks_min: f64,
    /// Standard errors between an estimate and its bounds.
    pub z: f64,
    /// Lower bound of the ratio of times, for `careful`.
    pub effect_careful: f64,
    /// The same for `manual`.
    pub effect_manual: f64,
    /// The same for `auto`.
    pub effect_auto: f64,
    /// Ratio of work per call.
    pub work_ratio_min: f64,
    /// Change of rows per call, at most.
    pub rows_change_max: f64,
    /// Coefficient of variation of a single execution, at most, for more than `careful`.
    pub variation_max: f64,
    /// The same, at most, for a verdict on processor time.
    pub processor_variation_max: f64,
    /// Ratio of the fastest executions, which lifts the limit of `variation_max`.
    pub minimum_ratio_min: f64,
    /// The jump at the change, divided by the farthest of any time before.
    pub jumps_min: f64,
    /// The step of the medians in standard errors, where the jump stands out.
    pub jump_t_min: f64,
    /// The step divided by the farthest the statement went by itself in the time before, both as logarithms.
    pub excursions_min: f64,
    /// Share of the step that may be there before the change.
    pub onset_before_max: f64,
    /// Share of the step that must be there right after the change.
    pub onset_after_min: f64,
    /// Hours after the change for `manual`.
    pub patience_manual_hours: f64,
    /// Hours after the change for `auto`.
    pub patience_auto_hours: f64,
    /// Blocks with both plans, for `auto`.
    pub interleaved_blocks_min: f64,
    /// Separate episodes of the new plan, for `auto`.
    pub episodes_min: f64,
    /// What the early verdict on short blocks asks.
    pub trial: TrialThresholds,
    /// Time lost per day, lower bound. A budget of attention, not of evidence: free in both directions, 0 asks nothing.
    pub lost_ms_per_day_min: f64,
    /// Time lost per day, lower bound, from which on a finding belongs into the review queue. Free in both directions.
    pub review_ms_per_day_min: f64,
}

/// What the early verdict asks. It is about large steps only and never above `careful`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrialThresholds {
    /// Short blocks after the change.
    pub blocks_min: f64,
    /// Hours of short blocks before the change.
    pub before_hours_min: f64,
    /// Executions after the change.
    pub executions_min: f64,
    /// Ratio of the median times.
    pub time_ratio_min: f64,
    /// Lower bound of that ratio.
    pub effect_min: f64,
    /// Ratio of the median work per call.
    pub work_ratio_min: f64,
    /// The same for a statement whose single executions vary much.
    pub work_ratio_sensitive_min: f64,
    /// Least work per call of any block after the change, divided by the most of any before.
    pub work_gap_min: f64,
    /// The same for a statement whose single executions vary much.
    pub work_gap_sensitive_min: f64,
    /// The jump at the change, divided by the farthest of any time in the day before.
    pub jumps_min: f64,
    /// Hours after the change until which there is an early verdict.
    pub hours_max: f64,
}

/// Which way a threshold gets stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stricter {
    Higher,
    Lower,
}

/// One threshold: its name, its value here, the measured value, and the stricter way.
type Field<'a> = (&'static str, &'a mut f64, f64, Stricter);

// === impl Thresholds ===

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            t_careful: 10.0,
            t_manual: 50.0,
            t_auto: 100.0,
            executions_min: 30.0,
            blocks_after_min: 6.0,
            same_hour_blocks_min: 20.0,
            baseline_days_min: 7.0,
            control_statements_min: 20.0,
            block_t_min: 5.0,
            effective_blocks_min: 10.0,
            z: 3.0,
            effect_careful: 1.2,
            effect_manual: 1.3,
            effect_auto: 1.5,
            work_ratio_min: 1.2,
            rows_change_max: 0.25,
            variation_max: 1.5,
            processor_variation_max: 5.0,
            minimum_ratio_min: 1.2,
            jumps_min: 1.0,
            jump_t_min: 1.5,
            excursions_min: 1.35,
            onset_before_max: 0.5,
            onset_after_min: 0.5,
            patience_manual_hours: 12.0,
            patience_auto_hours: 24.0,
            interleaved_blocks_min: 3.0,
            episodes_min: 2.0,
            trial: TrialThresholds::default(),
            lost_ms_per_day_min: 600_000.0,
            review_ms_per_day_min: 3_600_000.0,
        }
    }
}

impl Thresholds {
    /// These thresholds, with whatever is laxer than the measured rule put back to it.
    #[must_use]
    pub fn enforced(mut self) -> Self {
        for (_, value, least, stricter) in self.fields() {
            let laxer = is_laxer(*value, least, stricter);
            if laxer {
                *value = least;
            }
        }
        let free = Self::default();
        for (value, default) in [
            (&mut self.lost_ms_per_day_min, free.lost_ms_per_day_min),
            (&mut self.review_ms_per_day_min, free.review_ms_per_day_min),
        ] {
            if !(value.is_finite() && *value >= 0.0) {
                *value = default;
            }
        }
        self
    }

    /// The first threshold that is laxer than the measured rule: its name and the laxest value it can have.
    #[must_use]
    pub fn laxer_than_measured(mut self) -> Option<(&'static str, f64)> {
        self.fields()
            .into_iter()
            .find(|(_, value, least, stricter)| is_laxer(**value, *least, *stricter))
            .map(|(name, _, least, _)| (name, least))
    }

    fn fields(&mut self) -> [Field<'_>; 39] {
        use Stricter::{Higher, Lower};
        let measured = Self::default();
        [
            ("t_careful", &mut self.t_careful, measured.t_careful, Higher),
            ("t_manual", &mut self.t_manual, measured.t_manual, Higher),
            ("t_auto", &mut self.t_auto, measured.t_auto, Higher),
            ("executions_min", &mut self.executions_min, measured.executions_min, Higher),
            ("blocks_after_min", &mut self.blocks_after_min, measured.blocks_after_min, Higher),
            ("same_hour_blocks_min", &mut self.same_hour_blocks_min, measured.same_hour_blocks_min, Higher),
            ("baseline_days_min", &mut self.baseline_days_min, measured.baseline_days_min, Higher),
            (
                "control_statements_min",
                &mut self.control_statements_min,
                measured.control_statements_min,
                Higher,
            ),
            ("block_t_min", &mut self.block_t_min, measured.block_t_min, Higher),
            ("effective_blocks_min", &mut self.effective_blocks_min, measured.effective_blocks_min, Higher),
            ("z", &mut self.z, measured.z, Higher),
            ("effect_careful", &mut self.effect_careful, measured.effect_careful, Higher),
            ("effect_manual", &mut self.effect_manual, measured.effect_manual, Higher),
            ("effect_auto", &mut self.effect_auto, measured.effect_auto, Higher),
            ("work_ratio_min", &mut self.work_ratio_min, measured.work_ratio_min, Higher),
            ("rows_change_max", &mut self.rows_change_max, measured.rows_change_max, Lower),
            ("variation_max", &mut self.variation_max, measured.variation_max, Lower),
            ("minimum_ratio_min", &mut self.minimum_ratio_min, measured.minimum_ratio_min, Higher),
            ("jumps_min", &mut self.jumps_min, measured.jumps_min, Higher),
            ("jump_t_min", &mut self.jump_t_min, measured.jump_t_min, Higher),
            (
                "processor_variation_max",
                &mut self.processor_variation_max,
                measured.processor_variation_max,
                Lower,
            ),
            ("excursions_min", &mut self.excursions_min, measured.excursions_min, Higher),
            ("onset_before_max", &mut self.onset_before_max, measured.onset_before_max, Lower),
            ("onset_after_min", &mut self.onset_after_min, measured.onset_after_min, Higher),
            (
                "patience_manual_hours",
                &mut self.patience_manual_hours,
                measured.patience_manual_hours,
                Higher,
            ),
            ("patience_auto_hours", &mut self.patience_auto_hours, measured.patience_auto_hours, Higher),
            (
                "interleaved_blocks_min",
                &mut self.interleaved_blocks_min,
                measured.interleaved_blocks_min,
                Higher,
            ),
            ("episodes_min", &mut self.episodes_min, measured.episodes_min, Higher),
            ("trial.blocks_min", &mut self.trial.blocks_min, measured.trial.blocks_min, Higher),
            (
                "trial.before_hours_min",
                &mut self.trial.before_hours_min,
                measured.trial.before_hours_min,
                Higher,
            ),
            ("trial.executions_min", &mut self.trial.executions_min, measured.trial.executions_min, Higher),
            ("trial.time_ratio_min", &mut self.trial.time_ratio_min, measured.trial.time_ratio_min, Higher),
            ("trial.effect_min", &mut self.trial.effect_min, measured.trial.effect_min, Higher),
            ("trial.work_ratio_min", &mut self.trial.work_ratio_min, measured.trial.work_ratio_min, Higher),
            (
                "trial.work_ratio_sensitive_min",
                &mut self.trial.work_ratio_sensitive_min,
                measured.trial.work_ratio_sensitive_min,
                Higher,
            ),
            ("trial.work_gap_min", &mut self.trial.work_gap_min, measured.trial.work_gap_min, Higher),
            (
                "trial.work_gap_sensitive_min",
                &mut self.trial.work_gap_sensitive_min,
                measured.trial.work_gap_sensitive_min,
                Higher,
            ),
            ("trial.jumps_min", &mut self.trial.jumps_min, measured.trial.jumps_min, Higher),
            ("trial.hours_max", &mut self.trial.hours_max, measured.trial.hours_max, Lower),
        ]
    }
}

fn is_laxer(value: f64, least: f64, stricter: Stricter) -> bool {
    match stricter {
        Stricter::Higher => value.is_nan() || value < least,
        Stricter::Lower => value.is_nan() || value > least,
    }
}

// === impl TrialThresholds ===

impl Default for TrialThresholds {
    fn default() -> Self {
        Self {
            blocks_min: 6.0,
            before_hours_min: 12.0,
            executions_min: 100.0,
            time_ratio_min: 2.5,
            effect_min: 1.5,
            work_ratio_min: 1.5,
            work_ratio_sensitive_min: 2.5,
            work_gap_min: 1.1,
            work_gap_sensitive_min: 1.5,
            jumps_min: 1.5,
            hours_max: 24.0,
        }
    }
}

#[cfg(test)]
mod tests;

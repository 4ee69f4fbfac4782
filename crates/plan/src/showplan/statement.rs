//! What a showplan says of a statement and its plan as a whole.

use std::borrow::Cow;

use super::{
    attribute::Attribute, batch::MAX_LISTED, condition, element::Element, parse::Parser, relop, value,
    xml::Tag,
};
use crate::{
    ProblemKind,
    tree::{
        Extra, MissingIndexGroup, Parameter, ParameterValues, PlanWait, Scalar, StatisticsUse, Warning,
        WarningKind,
    },
};

type Done = Result<(), ProblemKind>;

impl<'a> Parser<'a, '_> {
    pub(super) fn version(&mut self, tag: &Tag<'a>) {
        let plan = &mut self.plan;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if attribute == Attribute::Build && value::is_version(&text) {
                plan.server_version = Some(text);
            }
        });
    }

    pub(super) fn set_options(&mut self, tag: &Tag<'a>) {
        if !self.plan.nodes.is_empty() {
            return;
        }
        let settings = &mut self.plan.settings;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if value::flag(&text).is_some() && settings.len() < crate::MAX_SETTINGS {
                settings.push((Cow::Borrowed(attribute.as_str()), text));
            }
        });
    }

    pub(super) fn plan_attributes(&mut self, tag: &Tag<'a>) {
        let (plan, details) = (&mut self.plan, &mut self.details);
        tag.attributes(&mut self.problems, |attribute, text, _| {
            let number = value::number(&text);
            match attribute {
                Attribute::DegreeOfParallelism => {
                    details.degree_of_parallelism = number.map(|threads| threads as u32);
                }
                Attribute::NonParallelPlanReason if value::is_word(&text) => {
                    details.non_parallel_reason = Some(text);
                }
                Attribute::CachedPlanSize => details.cached_plan_size_kib = number,
                Attribute::CompileTime => plan.planning_time_ms = number,
                Attribute::CompileCpu => details.compile_cpu_ms = number,
                Attribute::CompileMemory => details.compile_memory_kib = number,
                _ => {}
            }
        });
    }

    pub(super) fn part_of_plan(&mut self, element: Element, tag: &Tag<'a>) -> Done {
        match element {
            Element::MemoryGrantInfo => {
                self.memory_grant(tag);
                self.xml.skip()
            }
            Element::QueryTimeStats => {
                let (plan, details) = (&mut self.plan, &mut self.details);
                tag.attributes(&mut self.problems, |attribute, text, _| match attribute {
                    Attribute::ElapsedTime => plan.execution_time_ms = value::number(&text),
                    Attribute::CpuTime => details.cpu_time_ms = value::number(&text),
                    _ => {}
                });
                self.xml.skip()
            }
            Element::Warnings => {
                let (warnings, _) = self.warnings(tag)?;
                self.details.warnings.extend(warnings);
                Ok(())
            }
            Element::MissingIndexes => self.missing_indexes(),
            Element::ParameterList => self.parameters(),
            Element::OptimizerStatsUsage => self.statistics(),
            Element::WaitStats => self.waits(),
            Element::UnmatchedIndexes => self.unmatched_indexes(),
            _ => self.xml.skip(),
        }
    }

    fn memory_grant(&mut self, tag: &Tag<'a>) {
        let mut grant = crate::tree::MemoryGrant::default();
        let details = &mut self.details;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            let number = value::number(&text);
            let slot = match attribute {
                Attribute::RequestedMemory => &mut grant.requested_kib,
                Attribute::GrantedMemory => &mut grant.granted_kib,
                Attribute::MaxUsedMemory => &mut grant.max_used_kib,
                Attribute::RequiredMemory => &mut grant.required_kib,
                Attribute::DesiredMemory => &mut grant.desired_kib,
                // A plan that was not run says what it would take if it were serial.
                Attribute::SerialRequiredMemory => return grant.required_kib = grant.required_kib.or(number),
                Attribute::SerialDesiredMemory => return grant.desired_kib = grant.desired_kib.or(number),
                Attribute::GrantWaitTime => &mut details.grant_wait_ms,
                Attribute::IsMemoryGrantFeedbackAdjusted if value::is_word(&text) => {
                    return details.grant_feedback = Some(text);
                }
                _ => return,
            };
            *slot = number;
        });
        self.plan.memory_grant = Some(grant);
    }

    /// Hands each element of the given kind within the current one to `each`.
    fn each(&mut self, wanted: Element, mut each: impl FnMut(&mut Self, &Tag<'a>)) -> Done {
        let outside = self.xml.depth() - 1;
        let mut count = 0;
        while let Some(tag) = self.xml.within(outside)? {
            if Element::lookup(tag.name()) != Some(wanted) {
                continue;
            }
            if count < MAX_LISTED {
                each(self, &tag);
            } else if count == MAX_LISTED {
                self.problems.add(ProblemKind::ListTooLong, tag.at);
            }
            count += 1;
        }
        Ok(())
    }

    fn parameters(&mut self) -> Done {
        self.each(Element::ColumnReference, |parser, tag| {
            let mut parameter = Parameter::default();
            let (mut compiled, mut runtime) = (None, None);
            tag.attributes(&mut parser.problems, |attribute, text, _| match attribute {
                Attribute::Column => parameter.name = text,
                Attribute::ParameterDataType if value::is_type(&text) => parameter.data_type = Some(text),
                Attribute::ParameterCompiledValue => compiled = Some(text),
                Attribute::ParameterRuntimeValue => runtime = Some(text),
                _ => {}
            });
            // This is the last that is seen of the values.
            parameter.values = match (compiled, runtime) {
                (None, None) => ParameterValues::None,
                (Some(_), None) => ParameterValues::Compiled,
                (None, Some(_)) => ParameterValues::Runtime,
                (Some(compiled), Some(runtime)) if compiled == runtime => ParameterValues::Same,
                (Some(_), Some(_)) => ParameterValues::Different,
            };
            parser.plan.parameters.push(parameter);
        })
    }

    fn statistics(&mut self) -> Done {
        self.each(Element::StatisticsInfo, |parser, tag| {
            let names = relop::names(tag, &mut parser.problems);
            let mut used = StatisticsUse {
                schema: relop::some(names.table.schema),
                table: names.table.table,
                ..StatisticsUse::default()
            };
            tag.attributes(&mut parser.problems, |attribute, text, _| match attribute {
                Attribute::Statistics => used.name = Cow::Owned(super::tsql::unbracketed(&text).into_owned()),
                Attribute::LastUpdate if value::is_time(&text) => used.last_update = Some(text),
                Attribute::ModificationCount => used.modifications = value::number(&text),
                Attribute::SamplingPercent => used.sampling_percent = value::number(&text),
                _ => {}
            });
            parser.details.statistics.push(used);
        })
    }

    fn waits(&mut self) -> Done {
        self.each(Element::Wait, |parser, tag| {
            let mut wait = PlanWait::default();
            tag.attributes(&mut parser.problems, |attribute, text, _| match attribute {
                Attribute::WaitType if value::is_word(&text) => wait.kind = text,
                Attribute::WaitTimeMs => wait.time_ms = value::number(&text).unwrap_or_default(),
                Attribute::WaitCount => wait.count = value::number(&text).unwrap_or_default(),
                _ => {}
            });
            parser.details.waits.push(wait);
        })
    }

    fn unmatched_indexes(&mut self) -> Done {
        self.each(Element::Object, |parser, tag| {
            let names = relop::names(tag, &mut parser.problems);
            let text = format!("{}.{}", names.table.table, names.index);
            parser
                .details
                .warnings
                .push(Warning { kind: WarningKind::UnmatchedIndexes, text: Some(text.into()) });
        })
    }

    fn missing_indexes(&mut self) -> Done {
        let outside = self.xml.depth() - 1;
        let mut usage = Usage::Included;
        let mut impact = None;
        while let Some(tag) = self.xml.within(outside)? {
            match Element::lookup(tag.name()) {
                Some(Element::MissingIndexGroup) => {
                    impact = None;
                    tag.attributes(&mut self.problems, |attribute, text, _| {
                        if attribute == Attribute::Impact {
                            impact = value::number(&text);
                        }
                    });
                }
                Some(Element::MissingIndex) => self.missing_index(&tag, impact),
                Some(Element::ColumnGroup) => {
                    tag.attributes(&mut self.problems, |attribute, text, _| {
                        if attribute == Attribute::Usage {
                            usage = Usage::of(&text);
                        }
                    });
                }
                Some(Element::Column) => self.missing_column(&tag, usage),
                _ => {}
            }
        }
        Ok(())
    }

    fn missing_index(&mut self, tag: &Tag<'a>, impact_percent: Option<f64>) {
        let names = relop::names(tag, &mut self.problems);
        if self.plan.missing_indexes.len() >= MAX_LISTED {
            return self.problems.add(ProblemKind::ListTooLong, tag.at);
        }
        let group = MissingIndexGroup {
            impact_percent,
            schema: relop::some(names.table.schema),
            table: names.table.table,
            ..MissingIndexGroup::default()
        };
        self.plan.missing_indexes.push(group);
    }

    fn missing_column(&mut self, tag: &Tag<'a>, usage: Usage) {
        let mut name = None;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if attribute == Attribute::Name {
                name = Some(Cow::Owned(super::tsql::unbracketed(&text).into_owned()));
            }
        });
        let Some((group, name)) = self.plan.missing_indexes.last_mut().zip(name) else { return };
        let columns = match usage {
            Usage::Equality => &mut group.equality_columns,
            Usage::Inequality => &mut group.inequality_columns,
            Usage::Included => &mut group.included_columns,
        };
        if columns.len() < MAX_LISTED {
            columns.push(name);
        } else {
            self.problems.add(ProblemKind::ListTooLong, tag.at);
        }
    }

    // --- warnings ---------------------------------------------------------------------------------------

    /// Reads the element `Warnings` that was opened; its own attributes are warnings too.
    pub(super) fn warnings(
        &mut self,
        tag: &Tag<'a>,
    ) -> Result<(Vec<Warning<'a>>, Vec<Extra<'a>>), ProblemKind> {
        let (mut warnings, mut extras) = (Vec::new(), Vec::new());
        tag.attributes(&mut self.problems, |attribute, text, _| {
            let kind = match attribute {
                Attribute::NoJoinPredicate => WarningKind::NoJoinPredicate,
                Attribute::UnmatchedIndexes => WarningKind::UnmatchedIndexes,
                _ => WarningKind::Other,
            };
            if value::flag(&text) == Some(true) {
                warnings.push(Warning { kind, text: None });
            }
        });
        let outside = self.xml.depth() - 1;
        let mut columns = None;
        while let Some(tag) = self.xml.within(outside)? {
            let element = Element::lookup(tag.name());
            let at_bound = warnings.len() >= MAX_LISTED || extras.len() >= MAX_LISTED;
            match element {
                _ if at_bound => {
                    self.problems.add(ProblemKind::ListTooLong, tag.at);
                    return self.leave(outside).map(|()| (warnings, extras));
                }
                Some(Element::SpillToTempDb | Element::SpillOccurred) => {
                    warnings.push(Warning { kind: WarningKind::Spill, text: None });
                    self.numbers(&tag, &mut extras);
                }
                Some(
                    Element::SortSpillDetails | Element::HashSpillDetails | Element::ExchangeSpillDetails,
                ) => self.numbers(&tag, &mut extras),
                Some(Element::PlanAffectingConvert) => warnings.push(self.conversion(&tag)),
                Some(Element::MemoryGrantWarning) => {
                    let text = self.word(&tag, Attribute::GrantWarningKind);
                    warnings.push(Warning { kind: WarningKind::MemoryGrant, text });
                }
                Some(Element::Wait) => {
                    let text = self.word(&tag, Attribute::WaitType);
                    warnings.push(Warning { kind: WarningKind::Wait, text });
                }
                Some(Element::ColumnsWithNoStatistics) => columns = Some(WarningKind::MissingStatistics),
                Some(Element::ColumnsWithStaleStatistics) => columns = Some(WarningKind::StaleStatistics),
                Some(Element::ColumnReference) => {
                    if let Some(kind) = columns {
                        let text = Some(self.column(&tag).into());
                        warnings.push(Warning { kind, text });
                    }
                }
                Some(_) => {}
                None => {
                    self.problems.add_unknown_key(tag.name(), tag.at);
                    warnings.push(Warning { kind: WarningKind::Other, text: None });
                }
            }
        }
        Ok((warnings, extras))
    }

    /// Reads to the end of the element that was opened when `outside` others were.
    fn leave(&mut self, outside: usize) -> Done {
        while self.xml.within(outside)?.is_some() {}
        Ok(())
    }

    fn numbers(&mut self, tag: &Tag<'a>, extras: &mut Vec<Extra<'a>>) {
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if let Some(number) = value::number(&text) {
                extras.push(Extra {
                    name: attribute.as_str(),
                    group: Some("Warnings"),
                    value: Scalar::Number(number),
                });
            }
        });
    }

    fn word(&mut self, tag: &Tag<'a>, wanted: Attribute) -> Option<Cow<'a, str>> {
        let mut word = None;
        tag.attributes(&mut self.problems, |attribute, text, _| {
            if attribute == wanted && value::is_word(&text) {
                word = Some(text);
            }
        });
        word
    }

    fn conversion(&mut self, tag: &Tag<'a>) -> Warning<'a> {
        let (mut issue, mut shape) = (String::new(), String::new());
        let qualifiers = &mut self.qualifiers;
        tag.attributes(&mut self.problems, |attribute, text, _| match attribute {
            Attribute::ConvertIssue if value::is_word(&text) => issue = text.into_owned(),
            Attribute::Expression => shape = condition::shape(&text, qualifiers),
            _ => {}
        });
        Warning { kind: WarningKind::ImplicitConversion, text: Some(format!("{issue}: {shape}").into()) }
    }
}

/// How a proposed index uses a column.
#[derive(Clone, Copy)]
enum Usage {
    Equality,
    Inequality,
    Included,
}

impl Usage {
    fn of(text: &str) -> Self {
        match text {
            "EQUALITY" => Self::Equality,
            "INEQUALITY" => Self::Inequality,
            _ => Self::Included,
        }
    }
}

//! The processor on simulated time: weeks of statements, and what is found in them.

mod accelerated;
mod bounds;
mod clocks;
mod decisions;
mod killed;
mod kinds;
mod life_of;
mod parts;
mod show;
mod state;
mod verdicts;
mod world;

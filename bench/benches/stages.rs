//! The cost of each stage that a packet passes in the watch.

use divan::{Bencher, black_box};
use klopf_bench::stages::{ALL, Stages};

fn main() {
    divan::main();
}

#[divan::bench(args = ALL.map(|(name, _)| name))]
fn stage(bencher: Bencher<'_, '_>, name: &str) {
    let Some((_, stage)) = ALL.into_iter().find(|(other, _)| *other == name) else { return };
    let mut stages = Stages::default();
    bencher.bench_local(|| black_box(stage(&mut stages)));
}

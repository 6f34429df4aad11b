// Reads an interval log with hdr-histogram-js, and prints what it found as JSON.
//
//     node read.mjs FOLDER_WITH_NODE_MODULES FILE.hlog

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [, , folder, file] = process.argv;
const require = createRequire(`${folder}/`);
const hdr = require("hdr-histogram-js");
const { default: RecordedValuesIterator } = require("hdr-histogram-js/dist/RecordedValuesIterator");

const found = {};
const reader = new hdr.HistogramLogReader(readFileSync(file, "utf8"), 64);
for (let interval = reader.nextIntervalHistogram(); interval !== null; interval = reader.nextIntervalHistogram()) {
  const all = (found[interval.tag] ??= {
    intervals: 0,
    starts_ms: [],
    ends_ms: [],
    sum: hdr.build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: 3_600_000_000,
      numberOfSignificantValueDigits: 3,
      bitBucketSize: 64,
    }),
  });
  all.intervals += 1;
  all.starts_ms.push(Math.round(interval.startTimeStampMsec));
  all.ends_ms.push(Math.round(interval.endTimeStampMsec));
  all.sum.add(interval);
}

const told = {};
for (const [tag, { sum, ...rest }] of Object.entries(found)) {
  const recorded = [];
  const values = new RecordedValuesIterator(sum);
  while (values.hasNext()) {
    const at = values.next();
    recorded.push([at.valueIteratedTo, at.countAddedInThisIterationStep]);
  }
  told[tag] = {
    ...rest,
    count: sum.totalCount,
    max: sum.maxValue,
    percentiles: Object.fromEntries([50, 90, 95, 99, 99.9, 99.99].map((p) => [p, sum.getValueAtPercentile(p)])),
    recorded,
  };
}
process.stdout.write(JSON.stringify(told) + "\n");

/** V8's young generation in a process that has much to keep for a moment, as a master has at a reload. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fromRoot } from '../../../support/paths.ts';

const module = pathToFileURL(fromRoot('src/master/service/young-generation.ts')).href;

/** Megabytes of the young generation after many objects that survive a while. */
function grown(prepare: string): number {
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8';
    ${prepare}
    let kept = [];
    for (let i = 0; i < 3e6; i += 1) {
      kept.push({ i, of: [i] });
      if (kept.length > 60_000) kept = [];
    }
    console.log(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size / 2 ** 20);`;
  // tsx keeps much for a moment itself, before there is anything of ours: only where Node cannot read the file without it.
  const { typescript = false } = process.features as { typescript?: unknown };
  const args = [...(typescript === false ? ['--import', 'tsx'] : []), '--input-type=module', '-e', script];
  const env = { ...process.env, NODE_OPTIONS: '' };
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8', cwd: fromRoot('.'), env }));
}

test("the master's young generation does not grow, on any Node", () => {
  const small = grown(
    `import { keepYoungGenerationSmall } from ${JSON.stringify(module)}; keepYoungGenerationSmall();`,
  );
  assert.ok(small <= 6, `${small} MB`);
  const usual = grown('');
  assert.ok(
    usual >= 2 * small,
    `without it: ${usual} MB, ${small} with it; if they are the same it is of no use any more`,
  );
});

/** The dashboard and the alert rules ask for nothing that is not there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { initialFleet, type Policy } from '../../../src/core/model.ts';
import { Metrics } from '../../../src/master/metrics/metrics.ts';
import type { Status } from '../../../src/protocol/status.ts';
import { fromRoot } from '../../support/paths.ts';

const read = (path: string): string => readFileSync(fromRoot(`config/${path}`), 'utf8');

/** Every name that a page can hold, with the samples of histograms, and its labels. */
function known(): ReadonlyMap<string, ReadonlySet<string>> {
  const status = { listeners: [{ address: 'a', queues: 1, backlog: 1, waiting: 0 }], workers: [{ slot: 0 }] };
  const metrics = new Metrics({
    status: () => status as unknown as Status,
    isCounting: () => true,
    lostLines: () => ({ log: 0, access: 0 }),
  });
  metrics.onTurn({
    ...initialFleet({ workers: 1, autoscale: null } as Policy),
    lastReload: { verdict: 'completed', reload: 1, generation: 2, reason: null, duration: 1 },
  });
  metrics.onTraffic({
    series: [{ method: 'GET', status: 200, route: '/', seconds: 1, buckets: [1] }],
    ...{ aborted: 0, connections: 0, received: 0, sent: 0, upgrades: [] },
  });
  const names = new Map<string, Set<string>>();
  for (const { name, samples } of metrics.families()) {
    for (const { suffix, labels } of samples) {
      const found = names.get(`${name}${suffix}`) ?? new Set(['job', 'instance']);
      for (const label of Object.keys(labels)) found.add(label);
      names.set(`${name}${suffix}`, found);
    }
  }
  return names;
}

function assertKnown(expressions: readonly string[]): void {
  const names = known();
  assert.ok(expressions.length > 5);
  for (const expression of expressions) {
    const used = [...expression.matchAll(/\b((?:http|prefork)_\w+)(?:\{([^}]*)\})?/g)];
    assert.ok(used.length > 0, expression);
    for (const [, name = '', matchers = ''] of used) {
      const labels = names.get(name);
      assert.ok(labels !== undefined, `${name} is asked for and is not there: ${expression}`);
      for (const [, label = ''] of matchers.matchAll(/(\w+)\s*[=!]~?/g))
        assert.ok(labels.has(label), `${name} has no label ${label}`);
    }
  }
}

describe('what comes with prefork for Prometheus and Grafana', () => {
  it('the dashboard uses metrics that exist', () => {
    const dashboard = JSON.parse(read('grafana/prefork.json')) as {
      readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
      readonly annotations: { readonly list: readonly { readonly expr: string }[] };
    };
    const targets = dashboard.panels.flatMap((panel) => panel.targets);
    assertKnown([...targets, ...dashboard.annotations.list].map(({ expr }) => expr));
  });

  it('the alert rules use metrics that exist', () => {
    const text = read('prometheus/alerts.yml');
    assertKnown(
      [...text.matchAll(/^ +expr: (?:\|\n)?((?:.+\n(?! +(?:for|labels):))*.+)/gm)].map((match) => match[1] ?? ''),
    );
  });
});

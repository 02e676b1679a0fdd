/** examples/observability: the dashboard and the alerts name what there is, and show what happens, in a real Prometheus that scrapes a real run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { parse } from 'yaml'
import { errorTable } from '../src/index.js'
import { instruments, labelsOf } from '../src/metrics/measure.js'
import { builtPackage } from './support/built-package.js'
import { requireTool } from './support/clients.js'
import { type RunningPrometheus, startPrometheus } from './support/prometheus.js'
import { faultsOf, type Metrics, selectorsOf } from './support/promql.js'

jest.setTimeout(120_000)

const examples = join(import.meta.dirname, '../examples/observability')
const read = (name: string) => readFileSync(join(examples, name), 'utf8')

/** As they are scraped: a histogram is three. */
const metrics: Metrics = new Map(
  instruments.flatMap((instrument): [string, readonly string[]][] => {
    const labels = labelsOf(instrument)
    const { name, kind } = instrument
    if (kind !== 'histogram') return [[name, labels]]
    return [
      [`${name}_bucket`, [...labels, 'le']],
      [`${name}_sum`, labels],
      [`${name}_count`, labels],
    ]
  }),
)

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description: string
  readonly datasource: object
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string; readonly datasource: object }[]
}
interface Variable {
  readonly name: string
  readonly type: string
  readonly definition: string
}
const dashboard: { uid: string; title: string; panels: Panel[]; templating: { list: Variable[] } } = JSON.parse(
  read('grafana-dashboard.json'),
)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
/** Every query, as Grafana would send it with all jobs and authenticators chosen. */
const queries = panels.flatMap(({ title, targets }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr: filledIn(expr), legendFormat })),
)

function filledIn(text: string): string {
  const values = { __rate_interval: '15s', job: '.*', authenticator: '.*' }
  const filled = Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`$${name}`, value), text)
  if (filled.includes('$')) throw new Error(`a variable nobody fills in: ${filled}`)
  return filled
}

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
const alertsIn = (text: string) =>
  (parse(text) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules)
const alerts = alertsIn(read('alerts.yml'))

describe('what they name', () => {
  test.each(queries)('panel $title: there are such metrics with such labels: $expr', ({ expr, legendFormat }) => {
    expect(faultsOf(expr, legendFormat, metrics)).toEqual([])
  })

  test.each(alerts)('alert $alert: there are such metrics with such labels, in what it says, too', (alert) => {
    expect(faultsOf(alert.expr, Object.values(alert.annotations).join(' '), metrics)).toEqual([])
    expect(alert).toMatchObject({
      labels: { severity: expect.stringMatching(/^(info|warning|critical)$/) },
      annotations: { summary: expect.any(String), description: expect.any(String) },
    })
  })

  test.each([
    ['sum by (outcome) (rate(mtls_identity_decision_total[5m]))', '', 'no metric mtls_identity_decision_total'],
    ['rate(mtls_identity_validation_seconds[5m])', '', 'no metric mtls_identity_validation_seconds'],
    [
      'sum by (code) (mtls_identity_would_refuse_total{outcome="refused"})',
      '',
      'mtls_identity_would_refuse_total has no label outcome',
    ],
    [
      'max by (issuer) (mtls_identity_crls)',
      '',
      'nothing has the label issuer of max by (issuer) (mtls_identity_crls)',
    ],
    [
      'max by (job) (mtls_identity_crls)',
      '{{ $labels.authenticator }}',
      'max by (job) (mtls_identity_crls) has lost the label authenticator',
    ],
    ['up', '', 'no metric in up'],
  ])('a wrong name is found: %s', (expr, text, fault) => {
    expect(faultsOf(expr, text, metrics)).toContain(fault)
  })

  test('every metric is on the dashboard', () => {
    const shown = new Set(queries.flatMap(({ expr }) => selectorsOf(expr).map(({ name }) => name)))
    const missing = instruments.filter(({ name }) => !shown.has(name) && !shown.has(`${name}_bucket`))
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  test('codes are codes of the table', () => {
    const codes = [...read('alerts.yml').matchAll(/ERR_\w+/g)].map(([code]) => code)
    expect(codes.length).toBeGreaterThan(0)
    expect(codes.filter((code) => !Object.hasOwn(errorTable, code))).toEqual([])
  })
})

test('the README has every alert, with its severity', () => {
  const readme = readFileSync(join(examples, '../../README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| ((?:`[A-Z]\w+`(?:, )?)+) \| ((?:info|warning|critical)[\w, ]*) \|/gm)]
  const documented = rows.flatMap(([, names = '', severities = '']) => {
    const severity = severities.split(', ')
    return names.split(', ').map((name, i) => `${name.slice(1, -1)} ${severity[i]}`)
  })
  expect(documented.sort()).toEqual(alerts.map(({ alert, labels }) => `${alert} ${labels.severity}`).sort())
})

describe('the dashboard', () => {
  test('asks the data source that is chosen, in panels that do not overlap', () => {
    const chosen = { type: 'prometheus', uid: '$' + '{datasource}' }
    const taken = new Map<string, string>()
    for (const { title, description, datasource, targets, gridPos } of panels) {
      expect([title, datasource, ...targets.map((target) => target.datasource)]).toEqual([
        title,
        chosen,
        ...targets.map(() => chosen),
      ])
      expect([title, description]).toEqual([title, expect.stringMatching(/\.$/)])
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.get(`${x} ${y}`)]).toEqual([title, undefined])
          taken.set(`${x} ${y}`, title)
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    expect(dashboard.templating.list.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      'datasource: datasource',
      'job: query',
      'authenticator: query',
    ])
  })
})

describe('promtool', () => {
  const withPromtool = requireTool('promtool', '--version')
  const promtool = (...args: string[]) => execFileSync('promtool', args, { cwd: examples, stdio: 'pipe' })

  withPromtool('the rules and the configuration are well-formed', async () => {
    promtool('check', 'rules', 'alerts.yml')
    promtool('check', 'config', 'prometheus.yml')
    expect(() => promtool('check', 'rules', 'alerts.test.yml')).toThrow()
  })

  withPromtool('every alert begins where it should, and not before', async () => {
    promtool('test', 'rules', 'alerts.test.yml')
    const tested = read('alerts.test.yml')
    expect(alerts.map(({ alert }) => alert).filter((name) => !tested.includes(`alertname="${name}"`))).toEqual([])
  })

  withPromtool('an alert that comes too late, or too early, is found', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-alerts-'))
    try {
      cpSync(join(examples, 'alerts.test.yml'), join(folder, 'alerts.test.yml'))
      const withRules = (text: string) => {
        writeFileSync(join(folder, 'alerts.yml'), text)
        return () => execFileSync('promtool', ['test', 'rules', 'alerts.test.yml'], { cwd: folder, stdio: 'pipe' })
      }
      const rules = read('alerts.yml')
      expect(withRules(rules)).not.toThrow()
      expect(withRules(rules.replace(' < 4 * 3600', ' < 3 * 3600'))).toThrow()
      expect(withRules(rules.replace(' < 4 * 3600', ' < 5 * 3600'))).toThrow()
      // Without the second half, the first attempt would be none.
      const onlyIncrease = rules.replace(/\n.*or \(mtls_identity_spoofing_attempts_total unless .*/, '')
      expect(onlyIncrease).not.toBe(rules)
      expect(withRules(onlyIncrease)).toThrow()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('a Prometheus that scrapes the application', () => {
  const withPrometheus = requireTool('prometheus', '--version')
  let folder: string
  let app: ChildProcess | undefined
  let prometheus: RunningPrometheus | undefined
  beforeAll(() => {
    folder = builtPackage()
  })
  afterAll(async () => {
    await prometheus?.stop()
    if (app !== undefined && app.exitCode === null && app.signalCode === null) {
      app.kill('SIGTERM')
      await once(app, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  /** Starts the example, and returns where its metrics are. */
  async function startApplication(...args: string[]): Promise<string> {
    const example = join(folder, 'examples/observability/app.mjs')
    app = spawn(process.execPath, [example, '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let says = ''
    app.stderr?.setEncoding('utf8').on('data', (text) => {
      says += text
    })
    for await (const text of app.stdout?.setEncoding('utf8') ?? []) {
      says += text
      const found = /metrics on http:\/\/(127\.0\.0\.1:\d+)\/metrics/.exec(says)?.[1]
      if (found !== undefined) return found
    }
    throw new Error(`the application ended: ${says}`)
  }

  /** prometheus.yml, with another target, and in a hurry. */
  function configure(target: string): string {
    const edits = [
      ['scrape_interval: 5s', 'scrape_interval: 1s'],
      ['evaluation_interval: 15s', 'evaluation_interval: 1s'],
      ['127.0.0.1:9464', target],
    ] as const
    const path = join(folder, 'examples/observability/prometheus.yml')
    let text = readFileSync(path, 'utf8')
    for (const [from, to] of edits) {
      if (text.split(from).length !== 2) throw new Error(`prometheus.yml does not say ${from} once`)
      text = text.replace(from, to)
    }
    writeFileSync(path, text)
    return path
  }

  withPrometheus('every query of every panel returns data, and every alert is evaluated', async () => {
    const { query, alerts: states, labelValues } = await started()
    const answers = new Map<string, string>()
    // An alert is silent where all is well, and with a wrong value of a label: what it selects has to be there.
    const selected = alerts.flatMap(({ alert, expr }) =>
      selectorsOf(expr).map(({ selector }) => ({ title: alert, expr: selector })),
    )
    const asked = [...queries, ...selected]
    const results = process.env.OBSERVABILITY_RESULTS
    const begun = Date.now()
    const isOver = () =>
      Date.now() > begun + 60_000 || (results === undefined && asked.every((each) => answers.has(keyOf(each))))
    while (!isOver()) {
      await sleep(1_000)
      for (const each of asked) {
        const elements = (await query(each.expr)).filter(({ value }) => !Number.isNaN(value))
        // A panel full of zeros may be one about nothing.
        const isAlive = elements.some(({ value }) => value !== 0 || selected.includes(each))
        if (isAlive) answers.set(keyOf(each), inOneLine(elements))
      }
    }
    expect(asked.map(keyOf).filter((key) => !answers.has(key))).toEqual([])
    // OBSERVABILITY_RESULTS=results.txt: what every panel shows after a minute, for people.
    if (results)
      writeFileSync(results, queries.map((each) => `${keyOf(each)}\n  ${answers.get(keyOf(each))}\n`).join(''))

    for (const { name, definition } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
      const [, selector = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(filledIn(definition)) ?? []
      const values = await labelValues(label, selector)
      expect([name, values]).toEqual([name, name === 'job' ? ['shop'] : ['api', 'edge', 'partners']])
    }

    const evaluated = await states()
    expect(evaluated.map(({ name }) => name).sort()).toEqual(alerts.map(({ alert }) => alert).sort())
    expect(evaluated.filter(({ health, lastError }) => health !== 'ok' || lastError)).toEqual([])
    const said = evaluated.flatMap(({ alerts }) => alerts.flatMap(({ annotations }) => Object.values(annotations)))
    expect(said.filter((text) => /<error|<no value>|\{\{/.test(text))).toEqual([])
    const stateOf = Object.fromEntries(evaluated.map(({ name, state }) => [name, state]))
    expect(stateOf).toMatchObject({
      SpoofingAttempt: 'firing',
      CrlEndsSoon: 'pending',
      TrustAnchorEndsSoon: 'pending',
      DangerousSwitches: 'pending',
      CrlEnded: 'inactive',
      StoreUnusable: 'inactive',
      TrustAnchorEnded: 'inactive',
      PolicyDrift: 'inactive',
    })
  })

  withPrometheus('a query that is wrong is refused, and one about nothing is empty', async () => {
    const { query } = await started()
    await expect(query('sum by (mtls_identity_crls')).rejects.toThrow(/parse error/)
    expect(await query('mtls_identity_crls{authenticator="nobody"}')).toEqual([])
  })

  test('the application ends by itself', async () => {
    const before = app
    await startApplication('--seconds', '1')
    const ending = app
    app = before
    const [status] = await once(ending as ChildProcess, 'exit')
    expect(status).toBe(0)
  })

  async function started(): Promise<RunningPrometheus> {
    prometheus ??= await startPrometheus(configure(await startApplication()))
    return prometheus
  }
})

const keyOf = ({ title, expr }: { readonly title: string; readonly expr: string }) => `${title}: ${expr}`

function inOneLine(elements: Awaited<ReturnType<RunningPrometheus['query']>>): string {
  const texts = elements.map(
    ({ labels, value }) => `${Object.values(labels).join(' ') || 'all'} ${+value.toPrecision(4)}`,
  )
  return texts.join(', ')
}

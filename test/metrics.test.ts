/** O-02: metrics of decisions, of stores and CRLs, and of events, on prom-client and through OpenTelemetry, in series whose number clients cannot raise. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { AggregatorRegistry, Registry, type RegistryContentType } from 'prom-client'
import { type AuthenticatorInternals, internals } from '../src/core/contract.js'
import { guardDecision, type MountedDecision } from '../src/core/guard.js'
import {
  type Authenticator,
  type AuthenticatorOptions,
  createAuthenticator,
  crl,
  type DecisionContext,
  denyList,
  firstDefinite,
  type PresentedChain,
  rules,
} from '../src/index.js'
import { instruments, labelsOf } from '../src/metrics/measure.js'
import * as openTelemetry from '../src/opentelemetry.js'
import * as prometheus from '../src/prometheus.js'
import { createTestPki, type TestCredential, type TestPki } from '../src/testing.js'
import { day, fromNoon, noon, second, temporaryFolder, thrownBy } from './support/pki.js'

const { traceClients } = openTelemetry
const folder = temporaryFolder()
// The channels are the process's: other tests shall find them as quiet as before.
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})
const stopping =
  <A extends unknown[]>(begin: (...given: A) => () => void) =>
  (...given: A) => {
    const stop = begin(...given)
    stops.push(stop)
    return stop
  }
const prometheusMetrics = stopping(prometheus.prometheusMetrics<RegistryContentType>)
const openTelemetryMetrics = stopping(openTelemetry.openTelemetryMetrics)
let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  stranger = await (await createTestPki({ now: noon, name: 'Other' })).issue()
})

function make(options: Partial<AuthenticatorOptions> = {}): Authenticator {
  return createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: false,
    now: () => noon.getTime(),
    ...options,
  })
}

const presented = ({ certificate, chain }: TestCredential, via: 'tls' | 'proxy' = 'tls'): PresentedChain => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via,
})

/** The samples of one metric, as Prometheus would read them: labels and value. */
async function scraped(registry: Registry, name: string): Promise<Record<string, string | number>[]> {
  const metric = await registry.getSingleMetric(name)?.get()
  return (metric?.values ?? []).map(({ labels, value }) => ({ ...(labels as Record<string, string>), value }))
}

describe('decisions', () => {
  test('are counted by outcome, code, way, memory and whether they were enforced', async () => {
    const registry = new Registry()
    const auth = make({ rules: rules.custom('not by proxy', ({ via }) => via === 'tls', { remember: 'identity' }) })
    prometheusMetrics(registry, auth)
    for (let i = 0; i < 3; i++) await auth.authenticateChain(presented(alice))
    await auth.authenticateChain(presented(alice, 'proxy'))
    for (let i = 0; i < 2; i++) await auth.authenticateChain(presented(stranger))
    const counts = await scraped(registry, 'mtls_identity_decisions_total')
    const common = { authenticator: 'default', enforced: 'true' }
    expect(counts).toEqual(
      expect.arrayContaining([
        { ...common, outcome: 'accepted', code: 'none', via: 'tls', remembered: 'false', value: 1 },
        { ...common, outcome: 'accepted', code: 'none', via: 'tls', remembered: 'true', value: 2 },
        { ...common, outcome: 'refused', code: 'ERR_CLIENT_CERT_RULE', via: 'proxy', remembered: 'false', value: 1 },
        {
          ...common,
          outcome: 'refused',
          code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
          via: 'tls',
          remembered: 'false',
          value: 1,
        },
        {
          ...common,
          outcome: 'refused',
          code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
          via: 'tls',
          remembered: 'true',
          value: 1,
        },
      ]),
    )
    expect(counts).toHaveLength(5)
    // A counter only rises: the next scrape says the same.
    expect(await scraped(registry, 'mtls_identity_decisions_total')).toEqual(counts)
  })

  test('a mount in report-only mode counts whom it would have refused, one that enforces does not', async () => {
    const registry = new Registry()
    const auth = make({ rules: rules.commonName('bob') }) as AuthenticatorInternals
    prometheusMetrics(registry, auth)
    const reading = { socket: {}, headers: {}, rawHeaders: [] } as never
    await auth[internals].decide(reading, { enforced: false, absentPasses: false })
    await auth[internals].decide(reading, { enforced: true, absentPasses: false })
    expect(await scraped(registry, 'mtls_identity_would_refuse_total')).toEqual([
      { authenticator: 'default', code: 'ERR_CLIENT_CERT_ABSENT', value: 1 },
    ])
  })

  test('a guard that refuses whom the mount accepted is counted with the way that client came', async () => {
    const registry = new Registry()
    const authenticator = make() as AuthenticatorInternals
    prometheusMetrics(registry, authenticator)
    const decision = await authenticator.authenticateChain(presented(alice, 'proxy'))
    const answer: MountedDecision['answer'] = (error) => error
    const mounted: MountedDecision = { authenticator, decision, reportOnly: false, passed: false, answer }
    expect(guardDecision(mounted, rules.commonName('alice'), undefined)).toBeUndefined()
    expect(guardDecision(mounted, rules.commonName('bob'), undefined)).toBeDefined()
    const counts = await scraped(registry, 'mtls_identity_decisions_total')
    expect(counts.map(({ outcome, code, via, value }) => [outcome, code, via, value])).toEqual([
      ['accepted', 'none', 'proxy', 1],
      ['refused', 'ERR_CLIENT_CERT_RULE', 'proxy', 1],
    ])
  })

  test('what is not remembered is timed, by outcome; what is remembered is not', async () => {
    const registry = new Registry()
    const auth = make({ revocation: { name: 'own', generation: 0, check: () => ({ status: 'good' }) } })
    prometheusMetrics(registry, auth)
    for (let i = 0; i < 3; i++) await auth.authenticateChain(presented(alice))
    await auth.authenticateChain(presented(stranger))
    const counted = async (name: string) =>
      (await scraped(registry, name))
        .filter(({ le }) => le === undefined || le === '+Inf')
        .filter(({ le }) => le === '+Inf')
    expect(await counted('mtls_identity_validation_seconds')).toMatchObject([
      { outcome: 'accepted', value: 1 },
      { outcome: 'refused', value: 1 },
    ])
    expect(await counted('mtls_identity_revocation_seconds')).toMatchObject([{ status: 'good', value: 1 }])
  })

  test('a refusal took as long as its validation did', async () => {
    const registry = new Registry()
    const check = async () => {
      await new Promise((resolve) => setTimeout(resolve, 30))
      return { status: 'revoked' as const }
    }
    let took = 0
    const onDecision = (_: unknown, { audit }: DecisionContext) => {
      took = audit.durations.authentication
    }
    const auth = make({ revocation: { name: 'own', generation: 0, check } as never, onDecision })
    prometheusMetrics(registry, auth)
    expect(await auth.authenticateChain(presented(alice))).toMatchObject({ outcome: 'refused' })
    expect(took).toBeGreaterThan(25)
    const samples = await scraped(registry, 'mtls_identity_validation_seconds')
    expect(samples).toContainEqual({ authenticator: 'default', outcome: 'refused', le: 0.01, value: 0 })
  })

  test('a checker that throws is timed as failed, and still denies', async () => {
    const registry = new Registry()
    const check = () => {
      throw new Error('broken')
    }
    const auth = make({ revocation: { name: 'own', generation: 0, check } })
    prometheusMetrics(registry, auth)
    expect(await auth.authenticateChain(presented(alice))).toMatchObject({
      outcome: 'refused',
      error: { code: 'ERR_CLIENT_CERT_INTERNAL' },
    })
    expect(await scraped(registry, 'mtls_identity_revocation_seconds')).toEqual(
      expect.arrayContaining([expect.objectContaining({ status: 'failed', le: '+Inf', value: 1 })]),
    )
  })
})

test('O-02: a hundred thousand distinct clients and refusals make no new series', async () => {
  const registry = new Registry()
  const auth = make({ auditNames: true }) as AuthenticatorInternals
  prometheusMetrics(registry, auth)
  for (let i = 0; i < 2; i++) {
    await auth.authenticateChain(presented(alice))
    await auth.authenticateChain(presented(stranger))
  }
  const seriesOf = async () => (await registry.metrics()).split('\n').filter((line) => !line.startsWith('#')).length
  const before = await seriesOf()
  const accepted = await auth.authenticateChain(presented(alice))
  const refused = await auth.authenticateChain(presented(stranger))
  const { observers } = auth[internals].settings
  for (let i = 0; i < 100_000; i++) {
    const facts = { at: noon.getTime() + i, remembered: i % 2 === 0, via: 'tls', fingerprint: `${i}` } as const
    const decision = i % 3 === 0 ? refused : accepted
    const durations = { total: i, authentication: i, rules: i }
    for (const observer of observers) observer.decided?.(decision, { ...facts, durations })
  }
  expect(await seriesOf()).toBe(before)
  expect(await registry.metrics()).not.toMatch(/alice|Acme|[0-9a-f]{32}/)
})

test('stores, anchors and the policy are gauges that follow a reload', async () => {
  const registry = new Registry()
  const file = folder('clients.pem')
  writeFileSync(file, pki.trust)
  const auth = make({ trust: { partners: file }, intermediates: pki.intermediate.certificate.pem, watch: true })
  prometheusMetrics(registry, { gateway: auth })
  const gauge = async (name: string) => scraped(registry, `mtls_identity_${name}`)
  const labels = { authenticator: 'gateway' }
  expect(await gauge('store_usable')).toEqual([
    { ...labels, store: 'trust', value: 1 },
    { ...labels, store: 'intermediates', value: 1 },
  ])
  expect(await gauge('trust_anchors')).toEqual([{ ...labels, set: 'partners', value: 1 }])
  const [expiry] = await gauge('trust_anchor_expiry_timestamp_seconds')
  expect(expiry?.value).toBeGreaterThan(noon.getTime() / 1000)
  const [policy] = await gauge('policy_info')
  expect(policy).toEqual({ ...labels, policy_hash: auth.describe().policyHash, value: 1 })
  expect(await gauge('dangerous_switches')).toEqual([{ ...labels, value: auth.describe().dangerous.length }])

  const { trust } = (auth as AuthenticatorInternals)[internals].settings
  writeFileSync(file, 'nothing')
  trust.reload()
  expect(await gauge('store_failing')).toContainEqual({ ...labels, store: 'trust', value: 1 })
  writeFileSync(file, `${pki.trust}${(await createTestPki({ now: noon, name: 'Second' })).trust}`)
  trust.reload()
  expect(await gauge('store_failing')).toContainEqual({ ...labels, store: 'trust', value: 0 })
  expect(await gauge('trust_anchors')).toEqual([{ ...labels, set: 'partners', value: 2 }])
  const [changed] = await gauge('policy_info')
  expect(changed?.policy_hash).not.toBe(policy?.policy_hash)
  await auth.close()
})

test('CRLs: how many, the oldest thisUpdate and the earliest nextUpdate, through whatever combines them', async () => {
  const registry = new Registry()
  const written = async (name: string, ca: Pick<TestPki, 'crl'>, from: number, until: number) => {
    const { pem } = await ca.crl({ thisUpdate: fromNoon(from * second), nextUpdate: fromNoon(until * second) })
    writeFileSync(folder(name), pem)
    return folder(name)
  }
  const files = [await written('root.crl', pki.root, -60, 600), await written('issuing.crl', pki, -120, 900)]
  const checker = firstDefinite(
    denyList({ entries: [{ fingerprint: stranger.fingerprint }] }),
    crl({ files, watch: false }),
  )
  const auth = make({ revocation: checker })
  // The first question waits for the files.
  expect(await auth.authenticateChain(presented(alice))).toMatchObject({ outcome: 'accepted' })
  prometheusMetrics(registry, auth)
  const at = noon.getTime() / 1000
  expect(await scraped(registry, 'mtls_identity_crls')).toMatchObject([{ value: 2 }])
  expect(await scraped(registry, 'mtls_identity_crl_this_update_timestamp_seconds')).toMatchObject([
    { value: at - 120 },
  ])
  expect(await scraped(registry, 'mtls_identity_crl_next_update_timestamp_seconds')).toMatchObject([
    { value: at + 600 },
  ])
})

test('certificates in use, by the days they have left: neither those that ended nor those that were renewed', async () => {
  const registry = new Registry()
  const clock = { now: noon.getTime() }
  const auth = make({ now: () => clock.now })
  prometheusMetrics(registry, auth)
  const issued = (name: string, days: number, born = -1) =>
    pki.issue({ subject: `CN=${name}`, notBefore: fromNoon(born * day), notAfter: fromNoon(days * day) })
  const all = [await issued('a', 0.5), await issued('b', 5), await issued('c', 200), await issued('b', 60, -0.5)]
  for (const client of all) {
    clock.now += second
    await auth.authenticateChain(presented(client))
  }
  const clients = async () =>
    Object.fromEntries(
      (await scraped(registry, 'mtls_identity_clients')).map((each) => [each.expires_within_days, each.value]),
    )
  expect(await clients()).toEqual({ 1: 1, 7: 1, 30: 1, 90: 2, any: 3 })
  clock.now += day
  expect(await clients()).toEqual({ 1: 0, 7: 0, 30: 0, 90: 1, any: 2 })
  // A replica that was left behind is in use, whatever the others of its name have.
  await auth.authenticateChain(presented(all[1] as TestCredential))
  expect(await clients()).toEqual({ 1: 0, 7: 1, 30: 1, 90: 2, any: 3 })
})

test('what is unusual is counted by its kind', async () => {
  const registry = new Registry()
  const auth = make()
  const stop = prometheusMetrics(registry, auth)
  for (let i = 0; i < 2; i++) await auth.authenticateChain(presented(alice))
  expect(await scraped(registry, 'mtls_identity_identity_events_total')).toContainEqual({
    type: 'first-seen',
    value: 1,
  })
  stop()
})

describe('what cannot be measured is refused at the start', () => {
  test('no registry, no authenticator, an empty list, and the same registry twice', () => {
    const auth = make()
    expect(thrownBy(() => prometheusMetrics({} as never, auth))).toMatch(/^ClientCertConfigError: /)
    expect(thrownBy(() => prometheusMetrics(new Registry(), {} as never))).toMatch(/^ClientCertConfigError: /)
    expect(thrownBy(() => prometheusMetrics(new Registry(), { a: auth, b: {} } as never))).toMatch(
      /^ClientCertConfigError: /,
    )
    const registry = new Registry()
    prometheusMetrics(registry, auth)
    expect(() => prometheusMetrics(registry, make())).toThrow('one call for each registry')
    expect(thrownBy(() => openTelemetryMetrics(auth, { meter: {} } as never))).toMatch(/^ClientCertConfigError: /)
    expect(thrownBy(() => traceClients({} as never))).toMatch(/^ClientCertConfigError: /)
  })

  test('what was stopped leaves the registry and no longer listens', async () => {
    const registry = new Registry()
    const auth = make() as AuthenticatorInternals
    const stop = prometheusMetrics(registry, auth)
    expect(auth[internals].settings.observers).toHaveLength(1)
    stop()
    expect(auth[internals].settings.observers).toHaveLength(0)
    expect(registry.getMetricsAsArray()).toHaveLength(0)
    prometheusMetrics(registry, auth)
    const { length } = registry.getMetricsAsArray()
    // What was registered since is not its own.
    stop()
    expect(registry.getMetricsAsArray()).toHaveLength(length)
  })
})

describe('what breaks in one authenticator', () => {
  const broken = (): Authenticator => {
    let clock = () => noon.getTime()
    const own = {
      name: 'own',
      get generation(): number {
        if (isBroken) throw new Error('no generation')
        return 0
      },
      check: () => ({ status: 'good' as const }),
      freshness: () => {
        throw new Error('no freshness')
      },
    }
    let isBroken = false
    const auth = make({ revocation: own, now: () => clock() })
    isBroken = true
    clock = () => Number.NaN
    return auth
  }

  test('takes neither the rest of the scrape nor other authenticators with it', async () => {
    const registry = new Registry()
    const sound = make()
    prometheusMetrics(registry, { broken: broken(), sound })
    await sound.authenticateChain(presented(alice))
    const text = await registry.metrics()
    expect(text).toContain('mtls_identity_decisions_total{authenticator="sound"')
    expect(text).toContain('mtls_identity_policy_info{authenticator="sound"')
    expect(text).not.toContain('mtls_identity_policy_info{authenticator="broken"')
    expect(text).toContain('mtls_identity_clients{authenticator="sound",expires_within_days="any"} 1')
    expect(text).toContain('mtls_identity_trust_anchors{authenticator="broken",set="default"} 1')
  })
})

test('workers of a cluster are one process to whoever scrapes them: what each of them says alike is not added up', async () => {
  const workers = await Promise.all(
    [1, 2, 3].map(async (generation) => {
      const registry = new Registry()
      const auth = make()
      prometheusMetrics(registry, auth)
      for (let i = 0; i < generation; i++) await auth.authenticateChain(presented(alice))
      return registry.getMetricsAsJSON()
    }),
  )
  const sums = AggregatorRegistry.aggregate(workers as never)
  const valuesOf = async (name: string) => (await scraped(sums as Registry, name)).map(({ value }) => value)
  expect(await valuesOf('mtls_identity_policy_info')).toEqual([1])
  expect(await valuesOf('mtls_identity_trust_anchors')).toEqual([1])
  expect(await valuesOf('mtls_identity_store_usable')).toEqual([1])
  expect(await valuesOf('mtls_identity_dangerous_switches')).toEqual([2])
  const [expiry] = await valuesOf('mtls_identity_trust_anchor_expiry_timestamp_seconds')
  expect(expiry).toBeLessThan(fromNoon(4000 * day).getTime() / 1000)
  const total = (await valuesOf('mtls_identity_decisions_total')).reduce((sum: number, value) => sum + Number(value), 0)
  expect(total).toBe(6)
})

describe('OpenTelemetry', () => {
  test('has the same metrics under dotted names, with units apart', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    const auth = make({ revocation: { name: 'own', generation: 0, check: () => ({ status: 'good' }) } })
    const stop = openTelemetryMetrics({ gateway: auth }, { meter: provider.getMeter('test') })
    for (let i = 0; i < 3; i++) await auth.authenticateChain(presented(alice))
    await provider.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    const named = (name: string) => all.find(({ descriptor }) => descriptor.name === name)
    const decisions = named('mtls_identity.decisions')
    expect(decisions?.dataPoints.map(({ attributes, value }) => [attributes.remembered, value])).toEqual([
      ['false', 1],
      ['true', 2],
    ])
    expect(named('mtls_identity.validation')).toMatchObject({ descriptor: { unit: 's' } })
    expect(named('mtls_identity.trust_anchor_expiry')).toMatchObject({ descriptor: { unit: 's' } })
    expect(named('mtls_identity.policy_info')?.dataPoints[0]?.attributes).toEqual({
      authenticator: 'gateway',
      policy_hash: auth.describe().policyHash,
    })
    stop()
    await provider.shutdown()
  })

  describe('the active span', () => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    const tracer = provider.getTracer('test')
    beforeAll(() => {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    })

    async function attributesOf(auth: Authenticator, client: TestCredential) {
      const span = tracer.startSpan('request')
      await context.with(trace.setSpan(context.active(), span), () => auth.authenticateChain(presented(client)))
      span.end()
      return exporter.getFinishedSpans().at(-1)?.attributes
    }

    test('says who the client is by its fingerprint, and names nobody unless asked', async () => {
      const auth = make()
      const stop = traceClients(auth)
      const digest = alice.fingerprint.toUpperCase()
      for (let i = 0; i < 2; i++) {
        expect(await attributesOf(auth, alice)).toEqual({
          'tls.client.hash.sha256': digest,
          'tls.client.not_before': expect.stringMatching(/^\d{4}-.*Z$/),
          'tls.client.not_after': expect.stringMatching(/^\d{4}-.*Z$/),
        })
      }
      stop()
      expect(await attributesOf(auth, alice)).toEqual({})
      traceClients(auth, { names: true })
      expect(await attributesOf(auth, alice)).toMatchObject({ 'tls.client.subject': 'CN=alice' })
    })

    test('says nothing of who was refused', async () => {
      const auth = make()
      traceClients(auth, { names: true })
      expect(await attributesOf(auth, stranger)).toEqual({})
    })
  })
})

test('every metric has a name of its own, and ends as its kind does', () => {
  expect(new Set(instruments.map(({ name }) => name)).size).toBe(instruments.length)
  for (const { name, kind } of instruments) {
    expect(name).toMatch(/^mtls_identity_[a-z_]+$/)
    expect(name.endsWith('_total')).toBe(kind === 'counter')
  }
})

describe('the table of metrics', () => {
  const rowsOf = (readme: string) =>
    [
      ...(readme.split('\n## Metrics\n')[1]?.split('\n## ')[0] ?? '').matchAll(
        /^\| `(\w+)` \| (\w+) \| (.*?) \| .+ \|$/gm,
      ),
    ].map(([, name, kind, labels = '']) => ({
      name,
      kind,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
    }))

  test('the README has each metric, with its type and its labels, no more and no fewer', () => {
    const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
    expect(rowsOf(readme)).toEqual(
      instruments.map((each) => ({ name: each.name, kind: each.kind, labels: [...labelsOf(each)] })),
    )
  })

  test('a label that is there only would be found', () => {
    expect(rowsOf('\n## Metrics\n\n| `a_total` | counter | `one`, `two` | what |\n')).toEqual([
      { name: 'a_total', kind: 'counter', labels: ['one', 'two'] },
    ])
  })
})

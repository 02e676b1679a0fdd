/** B7: what an audit log hears of every decision. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { afterEach, beforeAll, expect, jest, test } from '@jest/globals'
import type { RequestId } from '../../src/core/request-id.js'
import {
  type AuditEvent,
  type AuthenticatorOptions,
  createAuthenticator,
  type Decision,
  errorTable,
  type RevocationChecker,
  rules,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { fromNoon, hour, noon } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
let stranger: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice,O=Secret' })
  stranger = await (await createTestPki({ now: noon, name: 'Other' })).issue({ subject: 'CN=mallory' })
})

const events: AuditEvent[] = []
const hear = (event: unknown) => events.push(event as AuditEvent)
afterEach(() => {
  unsubscribe('mtls-identity:decision', hear)
  events.length = 0
})

async function decide(client: TestCredential | undefined, options: Partial<AuthenticatorOptions> = {}, times = 1) {
  const contexts: AuditEvent[] = []
  const auth = createAuthenticator({
    trust: { partners: pki.trust },
    revocation: 'none',
    log: false,
    now: () => noon.getTime(),
    onDecision: (_, { audit }) => contexts.push(audit),
    ...options,
  })
  let decision: Decision | undefined
  for (let i = 0; i < times; i++) {
    const { certificate, chain } = client ?? { certificate: { der: new Uint8Array([0x30, 0]) }, chain: [] }
    decision = await auth.authenticateChain({
      certificate: certificate.der,
      intermediates: chain.map(({ der }) => der),
      via: 'tls',
    })
  }
  return { audit: contexts.at(-1) as AuditEvent, decision: decision as Decision }
}

const durations = { total: expect.any(Number), authentication: expect.any(Number), rules: expect.any(Number) }

test('an acceptance: who by fingerprint, by which CA, by which rule, in which time', async () => {
  const { audit } = await decide(alice, { rules: rules.all(rules.commonName('alice'), rules.anchor('partners')) }, 2)
  expect(audit).toEqual({
    time: noon.toISOString(),
    outcome: 'accepted',
    enforced: true,
    fingerprint: alice.fingerprint,
    issuerFingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    anchor: 'partners',
    via: 'tls',
    rule: 'all(commonName("alice"), anchor("partners"))',
    remembered: true,
    durations,
  })
  expect(audit.durations.total).toBeGreaterThanOrEqual(audit.durations.authentication)
})

test('a refusal by a rule names the rule that decided; one before the rules names the certificate all the same', async () => {
  const { audit } = await decide(alice, { rules: rules.all(rules.anchor('partners'), rules.commonName('bob')) })
  expect(audit).toMatchObject({
    outcome: 'refused',
    code: 'ERR_CLIENT_CERT_RULE',
    rule: 'commonName("bob")',
    fingerprint: alice.fingerprint,
  })
  const unknown = (await decide(stranger)).audit
  expect(unknown).toEqual({
    time: noon.toISOString(),
    outcome: 'refused',
    enforced: true,
    code: 'ERR_CLIENT_CERT_UNKNOWN_ISSUER',
    fingerprint: stranger.fingerprint,
    via: 'tls',
    remembered: false,
    durations,
  })
})

test('a refusal says how long authentication took, as an acceptance does', async () => {
  const revocation: RevocationChecker = {
    name: 'own',
    generation: 0,
    check: async () => ({ status: 'revoked', depth: 0 }),
  }
  for (const { audit } of [await decide(alice), await decide(stranger), await decide(alice, { revocation })]) {
    expect(audit.remembered).toBe(false)
    expect(audit.durations.authentication).toBeGreaterThan(0)
    expect(audit.durations.total).toBeGreaterThanOrEqual(audit.durations.authentication)
  }
})

test('O-03: names only when they are asked for', async () => {
  const quiet = await decide(alice)
  expect(JSON.stringify(quiet.audit)).not.toMatch(/alice|Secret|Intermediate/)
  const loud = await decide(alice, { auditNames: true })
  expect(loud.audit).toMatchObject({ subject: 'CN=alice,O=Secret', issuer: 'CN=Test Intermediate CA' })
})

test('O-01: nothing in it can break out of a line', async () => {
  const hostile = await pki.issue({ subject: [{ CN: ['x\r\nforged: yes\u001b[2J\u202e\u2028'] }] })
  const { audit } = await decide(hostile, { auditNames: true, rules: rules.custom('a\nb', () => true) })
  for (const text of Object.values(audit))
    if (typeof text === 'string') expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
  expect(audit.rule).toBe('custom("a\\\\nb")')
})

test('the diagnostics channel hears the same, of every authenticator', async () => {
  subscribe('mtls-identity:decision', hear)
  const { audit } = await decide(alice)
  await decide(stranger, { onDecision: () => {} })
  expect(events.map(({ outcome }) => outcome)).toEqual(['accepted', 'refused'])
  expect(events[0]).toBe(audit)
  expect(Object.isFrozen(audit)).toBe(true)
})

test('an exception is in it', async () => {
  const expired = await pki.issue({ notBefore: fromNoon(-2 * hour), notAfter: fromNoon(-hour) })
  const exceptions = [
    { fingerprint: expired.fingerprint, ignore: ['expired' as const], until: fromNoon(hour), reason: 'a\nb' },
  ]
  const { audit } = await decide(expired, { exceptions })
  expect(audit.exception).toEqual({
    ignored: 'ERR_CLIENT_CERT_EXPIRED',
    until: fromNoon(hour).toISOString(),
    reason: 'a\\nb',
    uses: 1,
  })
})

test('O-02: what a metric would count by is a closed set, whoever comes', async () => {
  const seen = new Set<string>()
  const known = new Set(['accepted', 'absent', 'refused', ...Object.keys(errorTable), 'tls', 'proxy', 'undefined'])
  for (let i = 0; i < 20; i++) {
    const client = await pki.issue({ subject: `CN=client ${i}` })
    const { audit } = await decide(client, { rules: rules.custom('even', () => i % 2 === 0) })
    for (const label of [audit.outcome, String(audit.code), String(audit.via)]) seen.add(label)
    expect(audit.rule).toBe('custom("even")')
  }
  expect([...seen].filter((label) => !known.has(label))).toEqual([])
  expect(seen.size).toBe(5)
})

test('O-05: a listener that throws, rejects or takes its time changes nothing', async () => {
  for (const onDecision of [
    () => {
      throw new Error('x')
    },
    async () => Promise.reject(new Error('x')),
    () => new Promise<void>(() => {}),
  ]) {
    expect((await decide(alice, { onDecision })).decision.outcome).toBe('accepted')
    expect((await decide(stranger, { onDecision })).decision.outcome).toBe('refused')
  }
})

test('without a listener no event is made', async () => {
  const spy = jest.spyOn(JSON, 'stringify')
  const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, now: () => noon.getTime() })
  await auth.authenticateChain({ certificate: alice.certificate.der, intermediates: [], via: 'tls' })
  spy.mockRestore()
  expect(events).toEqual([])
})

test.each<[string, RequestId, string | undefined]>([
  ['a text', ({ headers }) => headers.host, 'a.test'],
  ['a number', () => 7, '7'],
  [
    'one that would break out of a line',
    () => 'x\r\nforged: yes\u001b[2J\u202e\u2028',
    'x\\r\\nforged: yes\\u001b[2J\\u202e\\u2028',
  ],
  ['an endless one', () => 'x'.repeat(100_000), `${'x'.repeat(limits.quotedCharacters - 1)}…`],
  ['none', () => undefined, undefined],
  ['an empty one', () => '', undefined],
  ['an object', () => ({ toString: () => 'x' }), undefined],
  [
    'an exception',
    () => {
      throw new Error('no id')
    },
    undefined,
  ],
])('what the application calls a request is in the event, escaped and short: %s', async (_, requestId, expected) => {
  const heard: AuditEvent[] = []
  const lines: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    revocation: 'none',
    log: (line) => lines.push(line),
    onDecision: (__, { audit }) => heard.push(audit),
    requestId,
  })
  const request = new IncomingMessage(new Socket())
  request.headers.host = 'a.test'
  expect((await auth.authenticate(request)).outcome).toBe('refused')
  expect(heard).toHaveLength(1)
  expect(heard[0]?.requestId).toBe(expected)
  expect(lines[0]?.endsWith(`(request ${expected})`)).toBe(expected !== undefined)
})

import { inspect } from 'node:util'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { crl } from '../../src/revocation/crl-checker.js'
import type { CrlOptions } from '../../src/revocation/crl-options.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { day, fromNoon, hour, minute, noon, second } from '../support/pki.js'
import { type Responder, startBlackHole, startResponder } from '../support/responder.js'
import { closing, deciding, heardEvents, heardWarnings, heldTimers, until } from '../support/revocation.js'

const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let bob: TestCredential

beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice', notAfter: fromNoon(60 * day) })
  bob = await pki.issue({ subject: 'CN=bob', notAfter: fromNoon(60 * day) })
})

interface Publishing {
  revoked?: readonly TestCredential[]
  /** Milliseconds from noon. */
  end?: number
  age?: number
}

/** What a CA publishes at one address, for both CAs of the path. */
async function published({ revoked = [], end = day, age = hour }: Publishing = {}): Promise<Uint8Array> {
  const times = { thisUpdate: fromNoon(-age), nextUpdate: fromNoon(end) }
  const issuing = await pki.crl({ ...times, revoked: revoked.map((serialNumber) => ({ serialNumber })) })
  return Buffer.from(issuing.pem + (await pki.root.crl({ nextUpdate: fromNoon(50 * day) })).pem)
}

async function fetching(answer: Uint8Array, options: Partial<CrlOptions> = {}) {
  const server = await startResponder({ answer })
  return { server, ...from(server, options) }
}

function from({ url }: { url: string }, options: Partial<CrlOptions> = {}) {
  const clock = { now: noon.getTime() }
  const checker = closing(crl({ urls: `${url}/ca.crl`, timeoutMilliseconds: 900, now: () => clock.now, ...options }))
  return { checker, ...deciding({ trust: pki.trust, revocation: checker }, clock) }
}

const failures = () => warnings.filter((text) => text.startsWith('MTLS_CRL_FAILED'))
const count = ({ requests }: Responder) => requests.length

describe('crl({ urls })', () => {
  test('the first requests wait for the fetch, which is one; those after it do not fetch', async () => {
    const { server, verdict, checker } = await fetching(await published({ revoked: [bob] }), {
      timeoutMilliseconds: 10_000,
    })
    await server.misbehave('slow')
    const verdicts = await Promise.all(Array.from({ length: 50 }, (_, i) => verdict(i % 2 ? alice : bob)))
    expect(new Set(verdicts.filter((_, i) => i % 2))).toEqual(new Set(['accepted']))
    expect(new Set(verdicts.filter((_, i) => i % 2 === 0))).toEqual(new Set(['REVOKED']))
    await expect(checker.ready()).resolves.toBeUndefined()
    expect(await verdict(alice)).toBe('accepted')
    expect(server.requests.map(({ method, path, headers }) => [method, path, headers.accept])).toEqual([
      ['GET', '/ca.crl', 'application/pkix-crl'],
    ])
    expect(events.map(({ type }) => type)).toEqual(['crl-loaded'])
  })

  test('is fetched again after half to three quarters of its time; what is new counts on the next request', async () => {
    const timers = heldTimers()
    const { server, verdict, clock } = await fetching(await published({ end: 4 * hour }))
    expect(await verdict(alice)).toBe('accepted')
    server.answer = await published({ revoked: [alice], age: 0, end: 8 * hour })
    await timers.pass(2 * hour - 1, clock)
    expect(count(server)).toBe(1)
    await timers.pass(hour + 1, clock)
    await until(async () => (await verdict(alice)) === 'REVOKED')
    expect(await verdict(bob)).toBe('accepted')
    expect(count(server)).toBe(2)
  })

  test('the same octets again change nothing', async () => {
    const timers = heldTimers()
    const { server, verdict, clock, checker } = await fetching(await published({ end: 4 * hour }))
    expect(await verdict(alice)).toBe('accepted')
    const { generation } = checker
    await timers.pass(3 * hour, clock)
    await until(() => events.filter(({ type }) => type === 'crl-loaded').length === 2)
    expect(count(server)).toBe(2)
    expect(checker.generation).toBe(generation)
  })

  test.each([
    [
      'that is believed for less time than it says is fetched within that time',
      20 * day,
      { maxAge: 5 * 3_600 },
      3 * hour,
    ],
    ['that ends in weeks is asked for daily: a CA may publish before it has to', 40 * day, {}, day],
  ])('one %s', async (_, end, options, wait) => {
    const timers = heldTimers()
    const { server, verdict, clock } = await fetching(await published({ end }), options)
    expect(await verdict(alice)).toBe('accepted')
    await timers.pass(wait / 2 - minute, clock)
    expect(count(server)).toBe(1)
    await timers.pass(wait / 2 + minute, clock)
    await until(() => count(server) === 2)
  })

  test('a failure keeps the former CRL until it ends, is said, and what comes later counts', async () => {
    const timers = heldTimers()
    const { server, verdict, help, clock, checker } = await fetching(await published({ revoked: [bob], end: 2 * hour }))
    expect(await verdict(alice)).toBe('accepted')
    await server.misbehave('server-error')
    await timers.pass(1.6 * hour, clock)
    await until(() => failures().length > 0)
    expect([await verdict(alice), await verdict(bob)]).toEqual(['accepted', 'REVOKED'])
    expect(failures()[0]).toBe(
      `MTLS_CRL_FAILED: "${server.url}/ca.crl" was not fetched: status 500 (the former CRLs hold until they end)`,
    )
    expect(events.at(-1)).toMatchObject({ type: 'crl-failed', where: `${server.url}/ca.crl` })
    await expect(checker.ready()).resolves.toBeUndefined()
    await timers.pass(0.4 * hour + 1, clock)
    expect([await verdict(alice), await verdict(bob)]).toEqual(['REVOCATION_UNKNOWN', 'REVOKED'])
    expect(await help(alice)).toBe(
      `CRL of "CN=Test Intermediate CA" ended less than a second ago (2026-11-20T14:00:00Z, ${server.url}/ca.crl); "${server.url}/ca.crl" was not fetched: status 500 — make it reachable from here, or crl({ files })`,
    )
    await expect(checker.ready()).rejects.toThrow(/has ended/)
    server.answer = await published({ age: minute, end: 9 * hour })
    await server.misbehave(undefined)
    await timers.pass(2 * minute, clock)
    await until(async () => (await verdict(alice)) === 'accepted')
  })

  test('an https address of a private CA is fetched from where `ca` vouches for its server, and from nowhere else', async () => {
    const operators = await createTestPki()
    const { tls } = await operators.server()
    const server = await startResponder({ answer: await published({ revoked: [bob] }), tls })
    const untold = from(server)
    expect(await untold.verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(await untold.help(alice)).toMatch(/no TLS with its host.*crl\(\{ ca \}\) says who/)
    expect(await from(server, { ca: pki.trust }).verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(count(server)).toBe(0)
    const told = from(server, { ca: operators.trust })
    expect([await told.verdict(alice), await told.verdict(bob)]).toEqual(['accepted', 'REVOKED'])
    expect(told.auth.describe().policyHash).not.toBe(untold.auth.describe().policyHash)
  })

  test('a key in the query of an address is sent, and is in no event, warning, reason or description', async () => {
    const timers = heldTimers()
    const server = await startResponder({ answer: await published({ end: 2 * hour }), fault: 'server-error' })
    const urls = `${server.url}/ca.crl?sv=2026&sig=s3cret`
    const { verdict, help, clock, checker, auth } = from(server, { urls })
    const said = [checker.name, JSON.stringify(auth.describe())]
    expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    said.push(await help(alice))
    await server.misbehave(undefined)
    await timers.pass(2 * minute, clock)
    await until(async () => (await verdict(alice)) === 'accepted')
    await server.misbehave('not-found')
    await timers.pass(2 * hour, clock)
    await until(async () => (await verdict(alice)) === 'REVOCATION_UNKNOWN')
    said.push(await help(alice), await checker.ready().then(String, String))
    await until(() => events.some(({ type }) => type === 'crl-ended'))
    said.push(inspect(events, { depth: 9, showHidden: true }), ...failures())
    expect(new Set(server.requests.map(({ path }) => path))).toEqual(new Set(['/ca.crl?sv=2026&sig=s3cret']))
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['crl-failed', 'crl-loaded', 'crl-ended']))
    for (const text of said) expect(text).toContain('/ca.crl?…')
    expect([...said, ...warnings].join('\n')).not.toMatch(/s3cret|2026&/)
  })

  test.each<[string, { answer: () => Promise<Uint8Array>; fault?: 'not-found' }]>([
    ['that is dead', { answer: () => published(), fault: 'not-found' }],
    ['whose CRL has ended', { answer: () => published({ end: -minute }) }],
    ['whose CRL is somebody else’s', { answer: async () => (await (await createTestPki({ now: noon })).crl()).der }],
  ])(
    'an address %s is not hammered, however many ask, and is asked again all the same',
    async (_, { answer, fault }) => {
      const timers = heldTimers()
      const { server, verdict, clock } = from2(
        await startResponder({ answer: await answer(), ...(fault ? { fault } : {}) }),
      )
      for (let passed = 0; passed < 10 * minute; passed += 5 * second) {
        expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
        await timers.pass(5 * second, clock)
      }
      // Doubling from 5 s to a minute, each a quarter more or less.
      expect(count(server)).toBeGreaterThanOrEqual(9)
      expect(count(server)).toBeLessThanOrEqual(20)
      // The one who pays for the CA's outage is not kept waiting when it is over.
      server.answer = await published({ age: 0 })
      await server.misbehave(undefined)
      await timers.pass(1.25 * minute, clock)
      await until(async () => (await verdict(alice)) === 'accepted')
    },
  )

  test('after a sleep of the machine, when no timer came in time, the first request fetches', async () => {
    heldTimers()
    const { server, verdict, clock } = await fetching(await published({ end: hour }))
    expect(await verdict(alice)).toBe('accepted')
    server.answer = await published({ end: 9 * hour, age: 0 })
    clock.now += 8 * hour
    expect(await verdict(alice)).toBe('accepted')
    expect(count(server)).toBe(2)
  })

  test('R-14: a flight that fails does not poison the next', async () => {
    const { server, verdict, clock } = from2(
      await startResponder({ answer: await published(), fault: 'reset-in-body' }),
    )
    expect(await Promise.all([verdict(alice), verdict(alice)])).toEqual(['REVOCATION_UNKNOWN', 'REVOCATION_UNKNOWN'])
    expect(count(server)).toBe(1)
    await server.misbehave(undefined)
    clock.now += 7 * second
    expect(await Promise.all([verdict(alice), verdict(bob)])).toEqual(['accepted', 'accepted'])
    expect(count(server)).toBe(2)
  })

  test('R-14: an address that does not answer keeps nobody waiting who needs another', async () => {
    const [dead, server] = [await startResponder(), await startResponder({ answer: await published() })]
    const urls = [`${dead.url}/dead.crl`, `${server.url}/ca.crl`]
    const { verdict, clock, checker } = from(server, { urls, timeoutMilliseconds: 5_000 })
    await checker.ready().catch(() => {})
    await dead.misbehave('hang-before-answer')
    clock.now += 2 * day
    server.answer = await published({ end: 3 * day, age: 0 })
    const from0 = performance.now()
    expect(await verdict(alice)).toBe('accepted')
    expect(performance.now() - from0).toBeLessThan(2_000)
  })

  test('R-15: a replayed older CRL does not replace a newer', async () => {
    const timers = heldTimers()
    const old = await published({ age: 3 * hour, end: 3 * hour })
    const { server, verdict, clock } = await fetching(await published({ revoked: [alice], end: 3 * hour }))
    expect(await verdict(alice)).toBe('REVOKED')
    server.answer = old
    await timers.pass(2.5 * hour, clock)
    await until(() => events.filter(({ type }) => type === 'crl-loaded').length > 1)
    expect(await verdict(alice)).toBe('REVOKED')
    expect(await verdict(bob)).toBe('accepted')
  })
})

/** The responder along with the rest. */
function from2(server: Responder, options: Partial<CrlOptions> = {}) {
  return { server, ...from(server, options) }
}

describe('ready(), close(), and what is said', () => {
  test('R-09: rejects with the reason while an address gave nothing, and resolves once it has', async () => {
    const { server, checker, clock, auth } = from2(
      await startResponder({ answer: await published(), fault: 'refuse-connection' }),
    )
    await expect(auth.ready()).rejects.toThrow(
      `"${server.url}/ca.crl" was not fetched: no connection to its host (ECONNREFUSED)`,
    )
    await server.misbehave(undefined)
    clock.now += 6 * second
    await expect(checker.ready()).resolves.toBeUndefined()
  })

  test('R-09: a probe that asks again and again neither hammers the address nor defers the next attempt', async () => {
    const { server, checker, clock } = from2(await startResponder({ answer: await published(), fault: 'not-found' }))
    for (let i = 0; i < 100; i++) await checker.ready().catch(() => {})
    expect(count(server)).toBe(1)
    expect(failures().length).toBe(1)
    expect(events.filter(({ type }) => type === 'crl-failed').length).toBe(1)
    await server.misbehave(undefined)
    clock.now += 7 * second
    await expect(checker.ready()).resolves.toBeUndefined()
  })

  test.each<[string, Parameters<Responder['misbehave']>[0] | 'certificate', RegExp]>([
    [
      'a page for people',
      'html',
      /ca\.crl": line 1: text outside of a block — is that where the CA publishes its CRL\?$/,
    ],
    ['a certificate', 'certificate', /ca\.crl" holds a CERTIFICATE, not an X509 CRL — is that where the CA publishes/],
    ['nothing', 'empty', /ca\.crl": is empty — is that where the CA publishes its CRL\?$/],
    ['a redirect', 'found', /status 302 leads to "\/elsewhere"; redirects are not followed — write the URL itself$/],
    [
      'silence',
      'hang-before-answer',
      /not complete within [59]00 ms \(waiting for the answer\) — make it reachable from here/,
    ],
  ])('the sentence for %s names the address and the fix', async (_, fault, says) => {
    const server = await startResponder({
      answer: fault === 'certificate' ? Buffer.from(pki.trust) : await published(),
    })
    if (fault !== 'certificate') await server.misbehave(fault)
    const { help } = from(server, fault === 'hang-before-answer' ? { timeoutMilliseconds: 500 } : {})
    const sentence = await help(alice)
    expect(sentence).toMatch(says)
    expect(sentence).toMatch(
      /^no CRL of "CN=Test Intermediate CA" for client "CN=alice"; "http:\/\/127\.0\.0\.1:\d+\/ca\.crl"/,
    )
  })

  test('a link-local address is not asked, although an operator wrote it', async () => {
    const { help } = from({ url: 'http://169.254.169.254' })
    expect(await help(alice)).toMatch(
      /its host has the metadata address 169\.254\.169\.254 — allowPrivateNetworks: \['169\.254\.169\.254'\] if that is where it should lead$/,
    )
  })

  test('a black hole costs one deadline, not one for each client', async () => {
    const { verdict } = from(await startBlackHole(), { timeoutMilliseconds: 500 })
    const start = performance.now()
    expect(await Promise.all([verdict(alice), verdict(bob)])).toEqual(['REVOCATION_UNKNOWN', 'REVOCATION_UNKNOWN'])
    for (let i = 0; i < 20; i++) expect(await verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(performance.now() - start).toBeLessThan(1_500)
  })

  test('close() ends what is under way: nobody is admitted, no socket stays, nothing is said', async () => {
    const { server, checker, verdict } = from2(
      await startResponder({ answer: await published(), fault: 'hang-in-body' }),
      {
        timeoutMilliseconds: 30_000,
      },
    )
    const asked = verdict(alice)
    await until(() => server.open === 1)
    checker.close()
    expect(await asked).toBe('REVOCATION_UNKNOWN')
    await until(() => server.open === 0)
    expect(await verdict(bob)).toBe('REVOCATION_UNKNOWN')
    expect([count(server), warnings, events]).toEqual([1, [], []])
  })

  test('a CRL of more octets than are allowed is not read; one octet less, and it is', async () => {
    const answer = await published()
    const { verdict } = await fetching(answer, { maximumBytes: answer.length })
    expect(await verdict(alice)).toBe('accepted')
    const { help } = await fetching(answer, { maximumBytes: answer.length - 1 })
    expect(await help(alice)).toContain(`${answer.length - 1} at most are read`)
  })
})

import { beforeAll, describe, expect, test } from '@jest/globals'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { type AllowUnknownOptions, allowUnknown } from '../../src/revocation/allow-unknown.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { checker, good, pathOf, questionAbout } from '../support/checkers.js'
import { fromNoon, hour, noon, second, thrownBy } from '../support/pki.js'
import { startBlackHole, startResponder } from '../support/responder.js'
import { closing, deciding, heardEvents, heardWarnings } from '../support/revocation.js'

const warnings = heardWarnings()
const events = heardEvents()
let pki: TestPki
let alice: TestCredential
let path: CertificationPath
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  path = pathOf(alice, [pki.root.certificate])
})
const because = 'certificates live for a day'

describe('allowUnknown', () => {
  test('lets pass whose status is unknown, for a minute; good, revoked and exceptions stay what they are', async () => {
    const one = checker('unknown')
    const made = allowUnknown(one, { because })
    const ask = async () => made.statusOf(questionAbout(path))
    expect(await ask()).toEqual(good(noon.getTime() + 60 * second))
    one.behaviour = 'good'
    expect(await ask()).toEqual(good())
    one.behaviour = 'revoked'
    expect(await ask()).toEqual({ status: 'revoked', reason: 'mine' })
    for (const broken of ['throws', 'rejects', undefined, null] as const) {
      one.behaviour = () => (broken === null ? null : broken)
      await expect(ask()).rejects.toThrow()
    }
    one.behaviour = { status: 'UNKNOWN', reason: 'x' }
    expect(await ask()).toEqual({ status: 'UNKNOWN', reason: 'x' })
    expect(made.allowed).toBe(1)
  })

  test('R-08: what is broken, or not understood, admits nobody', async () => {
    for (const broken of ['throws', 'rejects', () => undefined, {}, 'unknown ', { status: 'Unknown' }, true]) {
      const revocation = allowUnknown(checker(broken), { because })
      const verdict = await deciding({ trust: pki.trust, revocation }).verdict(alice)
      expect(['INTERNAL', 'REVOCATION_UNKNOWN']).toContain(verdict)
      expect(revocation.allowed).toBe(0)
    }
  })

  test('a revoked certificate is refused, be the status of all the others unknown', async () => {
    for (const depth of [0, 1]) {
      const one = checker((question: { depth: number }) => (question.depth === depth ? 'revoked' : 'unknown'))
      const { verdict } = deciding({ trust: pki.trust, revocation: allowUnknown(one, { because }) })
      expect(await verdict(alice)).toBe('REVOKED')
    }
  })

  test('who was admitted so is asked about again when its time is over, and not before', async () => {
    const one = checker('unknown')
    const made = allowUnknown(one, { because, recheckAfter: 30 })
    const { verdict, decide, clock } = deciding({ trust: pki.trust, revocation: made })
    const decision = await decide(alice)
    expect(decision.outcome === 'accepted' && decision.validUntil).toEqual(fromNoon(30 * second))
    expect(made.allowed).toBe(2)
    clock.now += 30 * second
    expect(await verdict(alice)).toBe('accepted')
    expect(made.allowed).toBe(2)
    clock.now += 1
    one.behaviour = 'revoked'
    expect(await verdict(alice)).toBe('REVOKED')
    expect(made.allowed).toBe(2)
  })

  test('it is warned of at start, counted, and told to whoever listens, with the reason', async () => {
    const heard: unknown[] = []
    const made = allowUnknown(checker('unknown'), { because, onAllowed: (allowed) => heard.push(allowed) })
    expect(warnings).toEqual([
      'MTLS_SOFT_FAIL: allowUnknown(mine): certificates of unknown status are admitted, because certificates live for a day',
    ])
    expect(await deciding({ trust: pki.trust, revocation: made }).verdict(alice)).toBe('accepted')
    const reports = [
      { reason: 'mine does not know', fingerprint: alice.fingerprint, count: 1 },
      { reason: 'mine does not know', fingerprint: path.certificates[1]?.fingerprint, count: 2 },
    ]
    expect(heard).toEqual(reports)
    expect(events).toEqual(reports.map((report) => ({ type: 'unknown-allowed', ...report })))
    expect(made.allowed).toBe(2)
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('a listener of the application')
      },
    ],
    ['rejects', () => Promise.reject(new Error('a listener of the application'))],
    ['answers false', () => false],
  ])('a listener that %s changes nothing', async (_, onAllowed) => {
    const loose: unknown[] = []
    const listen = (reason: unknown) => loose.push(reason)
    process.on('unhandledRejection', listen)
    const made = allowUnknown(checker('unknown'), { because, onAllowed: onAllowed as never })
    expect(await deciding({ trust: pki.trust, revocation: made }).verdict(alice)).toBe('accepted')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect(loose).toEqual([])
  })

  test.each<{ name: string; given: unknown; says: string }>([
    { name: 'no options', given: undefined, says: "say why — allowUnknown(checker, { because: 'certificates" },
    { name: 'no reason', given: {}, says: 'say why' },
    { name: 'a blank reason', given: { because: ' ' }, says: 'say why' },
    { name: 'a reason that is no text', given: { because: true }, says: 'say why' },
    { name: 'a misspelt option', given: { because, recheck: 5 }, says: 'unknown option "recheck"' },
    { name: 'an undefined one', given: { because, recheckAfter: undefined }, says: 'recheckAfter is undefined' },
    { name: 'no time', given: { because, recheckAfter: 0 }, says: 'up to 3600, got 0' },
    { name: 'more than an hour', given: { because, recheckAfter: 3_601 }, says: 'up to 3600, got 3601' },
    { name: 'for ever', given: { because, recheckAfter: Number.POSITIVE_INFINITY }, says: 'got Infinity' },
    { name: 'NaN', given: { because, recheckAfter: Number.NaN }, says: 'got NaN' },
    { name: 'time as text', given: { because, recheckAfter: '60' }, says: 'got 60' },
    { name: 'a listener that is none', given: { because, onAllowed: 'log' }, says: 'onAllowed is not a function' },
  ])('$name is refused', ({ given, says }) => {
    const message = thrownBy(() => allowUnknown(checker('good'), given as AllowUnknownOptions))
    expect(message).toMatch(/^ClientCertConfigError: allowUnknown: /)
    expect(message).toContain(says)
    expect(warnings).toEqual([])
  })

  test('an hour is the longest, and fits', () => {
    expect(() => allowUnknown(checker('good'), { because, recheckAfter: 3_600 })).not.toThrow()
  })

  test('a deny list within is refused: one that could not be loaded would admit; beside it, it refuses', async () => {
    const load = () => Promise.reject(new Error('the database is down'))
    const says = 'allowUnknown: the deny list in it would admit while it is not loaded — firstDefinite(denyList({ … }),'
    const list = closing(denyList({ load }))
    for (const wrapped of [
      list,
      firstDefinite(list, checker('good')),
      firstDefinite(firstDefinite(list), checker('good')),
    ]) {
      expect(thrownBy(() => allowUnknown(wrapped, { because }))).toContain(says)
    }
    const lenient = allowUnknown(checker('unknown'), { because })
    const revocation = firstDefinite(list, lenient)
    expect(await deciding({ trust: pki.trust, revocation }).verdict(alice)).toBe('REVOCATION_UNKNOWN')
    expect(lenient.allowed).toBe(0)
  })

  test('R-10: a black hole delays a client by one deadline, admits it, and never one that is known to be revoked', async () => {
    const bob = await pki.issue({ subject: 'CN=bob' })
    const revoked = [{ serialNumber: bob }]
    const ended = await pki.crl({ revoked, thisUpdate: fromNoon(-2 * hour), nextUpdate: fromNoon(-hour) })
    const server = await startResponder({ answer: Buffer.from(ended.pem) })
    const urls = [`${server.url}/ca.crl`, (await startBlackHole()).url]
    const revocation = closing(
      allowUnknown(crl({ urls, timeoutMilliseconds: 700, now: () => noon.getTime() }), { because }),
    )
    const { verdict } = deciding({ trust: pki.trust, revocation })
    const start = performance.now()
    expect(await Promise.all([verdict(alice), verdict(bob)])).toEqual(['accepted', 'REVOKED'])
    for (let i = 0; i < 20; i++) expect([await verdict(alice), await verdict(bob)]).toEqual(['accepted', 'REVOKED'])
    expect(performance.now() - start).toBeLessThan(4_000)
    // alice and the intermediate above both, whose own CRL is nowhere.
    expect(revocation.allowed).toBeGreaterThanOrEqual(2)
    expect(events.filter((event) => event.type === 'unknown-allowed').length).toBe(revocation.allowed)
  })

  test('it is ready when what it asks is, and closes it', async () => {
    const one = checker('good', { ready: () => Promise.reject(new Error('not loaded')) })
    const made = allowUnknown(one, { because })
    await expect(made.ready()).rejects.toThrow('not loaded')
    made.close()
    expect(one.closed).toBe(1)
    expect(made.leafOnly).toBe(false)
  })
})

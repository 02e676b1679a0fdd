import { beforeAll, describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import type { CertificationPath } from '../../src/path/certification-path.js'
import { allowUnknown } from '../../src/revocation/allow-unknown.js'
import { type CertificateChecker, type StatusQuestion, statusOfPath } from '../../src/revocation/certificate-status.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { firstDefinite } from '../../src/revocation/first-definite.js'
import { skipShortLived } from '../../src/revocation/short-lived.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { type Behaviour, checker, context, good, pathOf, questionAbout, type TestChecker } from '../support/checkers.js'
import { noon, thrownBy } from '../support/pki.js'
import { deciding, heardWarnings } from '../support/revocation.js'

heardWarnings()
let pki: TestPki
let alice: TestCredential
let path: CertificationPath
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue()
  path = pathOf(alice, [pki.root.certificate])
})

const answerOf = async (made: CertificateChecker, depth = 0) => {
  try {
    return (await made.statusOf(questionAbout(path, depth))).status
  } catch (error) {
    return `throws ${(error as Error).message}`
  }
}
const everything: Behaviour[] = ['good', 'revoked', 'unknown', 'throws', 'rejects']
const triples = everything.flatMap((a) => everything.flatMap((b) => everything.map((c) => [a, b, c] as const)))

/** What has to come out, in words rather than in code: the first that is not unknown. */
function expected(answers: readonly Behaviour[]): string {
  const first = answers.find((answer) => answer !== 'unknown')
  if (first === undefined) return 'unknown'
  return first === 'throws' || first === 'rejects' ? 'throws mine is broken' : String(first)
}

describe('the truth table', () => {
  test.each(triples)('%s, %s, %s', async (...answers) => {
    const checkers = answers.map((answer) => checker(answer))
    expect(await answerOf(firstDefinite(...checkers))).toBe(expected(answers))
    // Nobody is asked who comes after the one that knew.
    const decisive = answers.findIndex((answer) => answer !== 'unknown')
    expect(checkers.map(({ asked }) => asked.length)).toEqual(
      answers.map((_, i) => (decisive === -1 || i <= decisive ? 1 : 0)),
    )
  })

  const listed: Behaviour[] = ['good', 'revoked', 'unknown', 'throws']
  test.each(
    listed.flatMap((veto) =>
      everything.flatMap((a) =>
        ['good', 'unknown', 'revoked'].flatMap((b) => [0, 1, 2].map((place) => [veto, place, a, b] as const)),
      ),
    ),
  )('a deny list that says %s, at place %i among %s, %s, is heard first', async (veto, place, ...answers) => {
    const list = checker(veto, { onlyRevokes: true })
    const checkers = answers.map((answer) => checker(answer))
    const all: TestChecker[] = [...checkers]
    all.splice(place, 0, list)
    const says = veto === 'good' ? expected(answers) : veto === 'throws' ? 'throws mine is broken' : veto
    expect(await answerOf(firstDefinite(...all))).toBe(says)
    if (veto !== 'good') expect(checkers.flatMap(({ asked }) => asked)).toEqual([])
  })

  test('what is good holds until the earliest end of those who said so, a deny list’s included', async () => {
    const list = checker(good(5_000), { onlyRevokes: true })
    const status = (...ends: number[]) =>
      firstDefinite(...ends.map((end) => checker(good(end))), list).statusOf(questionAbout(path))
    expect(await status(9_000)).toEqual({ status: 'good', validUntil: 5_000 })
    expect(await status(3_000, 1_000)).toEqual({ status: 'good', validUntil: 3_000 })
  })

  test('where nobody knows, the sentence says what each of them lacks, and the first fix', async () => {
    const second = { status: 'unknown', reason: 'the responder is silent' }
    const { statusOf } = firstDefinite(checker('unknown'), checker(second))
    expect(await statusOf(questionAbout(path))).toEqual({
      status: 'unknown',
      reason: 'mine does not know; the responder is silent',
      fix: 'ask mine',
    })
    expect(await firstDefinite(checker(second), checker(second)).statusOf(questionAbout(path))).toEqual({
      status: 'unknown',
      reason: 'the responder is silent; the responder is silent',
    })
  })

  test('deny lists alone know of revocations only, and are one deny list together', async () => {
    const both = firstDefinite(denyList({ entries: [] }), denyList({ entries: [alice.fingerprint] }))
    expect([both.onlyRevokes, await answerOf(both)]).toEqual([true, 'revoked'])
    const unknowing = firstDefinite(firstDefinite(denyList({ entries: [] })), checker('unknown'))
    expect([unknowing.onlyRevokes, await answerOf(unknowing)]).toEqual([false, 'unknown'])
  })
})

describe('R-08: answers that are none admit nobody', () => {
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['true', true],
    ['the word ok', 'ok'],
    ['an empty object', {}],
    ['GOOD', { status: 'GOOD', validUntil: noon.getTime() * 2 }],
    ['good until nobody knows', { status: 'good' }],
    ['good until a text', { status: 'good', validUntil: 'tomorrow' }],
    ['good until NaN', { status: 'good', validUntil: Number.NaN }],
    ['good until a moment ago', { status: 'good', validUntil: noon.getTime() - 1 }],
  ])('%s, from the only one, from the last one, and from a deny list', async (_, given) => {
    const answer = () => given
    for (const made of [
      firstDefinite(checker(answer)),
      firstDefinite(checker('unknown'), checker(answer)),
      firstDefinite(checker(answer, { onlyRevokes: true }), checker('good')),
    ]) {
      const verdict = await deciding({ trust: pki.trust, revocation: made }).verdict(alice)
      expect(['REVOCATION_UNKNOWN', 'INTERNAL']).toContain(verdict)
    }
  })
})

describe('who is asked about what', () => {
  test('every certificate of the path but the anchor', async () => {
    const one = checker('good')
    expect(await deciding({ trust: pki.trust, revocation: firstDefinite(one) }).verdict(alice)).toBe('accepted')
    expect(one.asked).toEqual(['alice', 'Test Intermediate CA'])
  })

  test('OCSP for the end entity, CRLs for its issuers', async () => {
    const [leaf, rest] = [checker('good', { leafOnly: true }), checker('good')]
    expect(await deciding({ trust: pki.trust, revocation: firstDefinite(leaf, rest) }).verdict(alice)).toBe('accepted')
    expect([leaf.asked, rest.asked]).toEqual([['alice'], ['Test Intermediate CA']])
  })

  test('where all are for end entities only, nobody is asked about issuers; a deny list is', async () => {
    const [leaf, list] = [checker('good', { leafOnly: true }), checker('good', { onlyRevokes: true })]
    const made = firstDefinite(leaf)
    expect([made.leafOnly, firstDefinite(list, leaf).leafOnly]).toEqual([true, false])
    const { verdict } = deciding({ trust: pki.trust, revocation: firstDefinite(list, leaf) })
    expect(await verdict(alice)).toBe('accepted')
    expect([leaf.asked, list.asked]).toEqual([['alice'], ['alice', 'Test Intermediate CA']])
    list.behaviour = ({ depth }: StatusQuestion) => (depth === 1 ? 'revoked' : 'good')
    list.generation++
    expect(await verdict(alice)).toBe('REVOKED')
  })

  test('a pinned client, which has no issuer, is looked up in deny lists and not in CRLs', async () => {
    const one = checker('unknown')
    const trust = { pinned: alice.certificate.pem }
    const admitted = firstDefinite(denyList({ entries: [] }), one)
    expect(await deciding({ trust, revocation: admitted }).verdict(alice)).toBe('accepted')
    expect(await deciding({ trust, revocation: firstDefinite(one) }).verdict(alice)).toBe('accepted')
    const denied = firstDefinite(denyList({ entries: [alice.fingerprint] }), one)
    expect(await deciding({ trust, revocation: denied }).verdict(alice)).toBe('REVOKED')
    expect(one.asked).toEqual([])
    const own = checker('revoked', { answersForPinned: true })
    expect(await deciding({ trust, revocation: firstDefinite(one, own) }).verdict(alice)).toBe('REVOKED')
  })
})

describe('what may be combined', () => {
  test.each<[string, unknown[], string]>([
    ['nothing', [], 'firstDefinite: no checker — firstDefinite(ocsp({ … }), crl({ … }))'],
    ['none', ['none'], 'firstDefinite: takes crl(…), ocsp(…), denyList(…), or a checker of your own'],
    ['undefined', [undefined], 'firstDefinite: takes crl(…)'],
    ['a list', [[checker('good')]], 'firstDefinite: takes crl(…)'],
    ['a checker of whole paths only', [{ name: 'x', check: () => {} }], 'that has statusOf() and generation'],
    ['one without generation', [{ name: 'x', statusOf: () => {} }], 'that has statusOf() and generation'],
  ])('%s is refused', (_, given, says) => {
    const message = thrownBy(() => firstDefinite(...(given as never[])))
    expect(message).toContain(says)
  })

  test('soft-fail before another one, which would never be asked, is refused; last, or around all, it is not', () => {
    const lenient = () => allowUnknown(checker('unknown'), { because: 'a test' })
    const says = 'firstDefinite: allowUnknown(mine) admits whose status is unknown, so that mine is never asked'
    expect(thrownBy(() => firstDefinite(lenient(), checker('good')))).toContain(says)
    for (const wrapped of [
      skipShortLived(lenient(), { noRevAvail: true }),
      firstDefinite(checker('good'), lenient()),
    ]) {
      expect(() => firstDefinite(wrapped, checker('good'))).toThrow(ClientCertConfigError)
    }
    expect(() => firstDefinite(checker('good'), lenient())).not.toThrow()
    expect(() => firstDefinite(lenient(), denyList({ entries: [] }))).not.toThrow()
  })

  test('its generation rises with each of its parts; it is ready when all are; it closes all', async () => {
    const ready: string[] = []
    const [a, b] = [checker('good'), checker('good')]
    Object.assign(a, { ready: async () => ready.push('a') })
    Object.assign(b, { ready: () => Promise.reject(new Error('b has not loaded')) })
    const made = firstDefinite(a, firstDefinite(b))
    const { generation } = made
    a.generation++
    b.generation += 2
    expect(made.generation).toBe(generation + 3)
    await expect(made.ready()).rejects.toThrow('b has not loaded')
    expect(ready).toEqual(['a'])
    made.close()
    expect([a.closed, b.closed]).toEqual([1, 1])
    expect(made.name).toBe('firstDefinite(mine, firstDefinite(mine))')
  })

  test('one that throws while another rejects leaves no rejection to nobody', async () => {
    const odd = checker(({ depth }: StatusQuestion) => (depth === 0 ? 'rejects' : 'throws'))
    const loose: unknown[] = []
    const listen = (reason: unknown) => loose.push(reason)
    process.on('unhandledRejection', listen)
    await expect(statusOfPath(odd, path, noon, context)).rejects.toThrow('mine is broken')
    await expect(firstDefinite(odd).check(path, noon, context)).rejects.toThrow('mine is broken')
    expect(await deciding({ trust: pki.trust, revocation: firstDefinite(odd) }).verdict(alice)).toBe('INTERNAL')
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect(loose).toEqual([])
  })
})

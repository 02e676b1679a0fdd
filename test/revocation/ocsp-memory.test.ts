import { describe, expect, test } from '@jest/globals'
import { limits } from '../../src/limits.js'
import { resolveProfile } from '../../src/path/profile.js'
import type { OcspAnswer } from '../../src/revocation/ocsp-answer.js'
import { OcspMemory } from '../../src/revocation/ocsp-memory.js'

const [strict, lax] = [resolveProfile(), resolveProfile('compatible')]
const source = { refreshFrom: 1, freshUntil: 2, url: 'http://ocsp.test/' }
const answer = (status: OcspAnswer['status'], thisUpdate: number, reason?: string): OcspAnswer => ({
  status,
  thisUpdate,
  nextUpdate: 9,
  freshUntil: 9,
  usableUntil: 9,
  ...(reason === undefined ? {} : { reason }),
})
const hold = (thisUpdate: number) => answer('revoked', thisUpdate, 'certificateHold')

/** What is known after these were learned, in this order. */
function after(...answers: OcspAnswer[]) {
  const memory = new OcspMemory()
  const lessons = answers.map((one) => memory.learn('key', one, strict, source))
  const { answer: known } = memory.get('key') as { answer: OcspAnswer }
  const last = lessons.at(-1)
  return [known.status, known.thisUpdate, known.reason, last?.replayed && 'replayed', last?.closed && 'closed']
    .filter(Boolean)
    .join(' ')
}

describe('what is learned only goes forward', () => {
  test.each<[string, OcspAnswer[], string]>([
    ['a first good', [answer('good', 5)], 'good 5'],
    ['a first unknown', [answer('unknown', 5)], 'unknown 5'],
    [
      'a first revoked, which closes: somebody may have been admitted before it was forgotten',
      [answer('revoked', 5)],
      'revoked 5 closed',
    ],
    ['a newer good', [answer('good', 5), answer('good', 6)], 'good 6'],
    ['an older good', [answer('good', 5), answer('good', 4)], 'good 5 replayed'],
    ['an older unknown', [answer('good', 5), answer('unknown', 4)], 'good 5 replayed'],
    ['a newer unknown', [answer('good', 5), answer('unknown', 6)], 'unknown 6 closed'],
    ['good again of the same second', [answer('good', 5), answer('good', 5)], 'good 5'],
    ['unknown of the same second', [answer('good', 5), answer('unknown', 5)], 'unknown 5 closed'],
    ['good after unknown of the same second', [answer('unknown', 5), answer('good', 5)], 'good 5'],
    ['on hold of the same second', [answer('good', 5), hold(5)], 'revoked 5 certificateHold closed'],
    ['good after on hold of the same second', [hold(5), answer('good', 5)], 'revoked 5 certificateHold replayed'],
    ['unknown after on hold of the same second', [hold(5), answer('unknown', 5)], 'revoked 5 certificateHold replayed'],
    ['on hold, older', [answer('good', 5), hold(4)], 'good 5 replayed'],
    ['on hold, lifted', [hold(5), answer('good', 6)], 'good 6'],
    ['on hold again: nothing is news', [hold(5), hold(6)], 'revoked 6 certificateHold'],
    [
      'revoked for good, newer',
      [answer('good', 5), answer('revoked', 6, 'keyCompromise')],
      'revoked 6 keyCompromise closed',
    ],
    [
      'revoked for good, older',
      [answer('good', 5), answer('revoked', 4, 'keyCompromise')],
      'revoked 4 keyCompromise closed',
    ],
    ['revoked for good after on hold, older', [hold(5), answer('revoked', 4)], 'revoked 4'],
    ['good after revoked for good, newer', [answer('revoked', 5), answer('good', 6)], 'revoked 5'],
    ['on hold after revoked for good, newer', [answer('revoked', 5, 'superseded'), hold(6)], 'revoked 5 superseded'],
    [
      'removeFromCRL, which OCSP has no use for, lifted',
      [answer('revoked', 5, 'removeFromCRL'), answer('good', 6)],
      'good 6',
    ],
  ])('%s', (_, answers, expected) => {
    expect(after(...answers)).toBe(expected)
  })
})

describe('profiles under which an answer was accepted', () => {
  test('add up while it is the same answer, and begin anew with another', () => {
    const memory = new OcspMemory()
    const under = () => [strict, lax].map((profile) => memory.get('key')?.acceptedUnder.has(profile))
    memory.learn('key', answer('good', 5), strict, source)
    expect(under()).toEqual([true, false])
    memory.learn('key', answer('good', 5), lax, source)
    expect(under()).toEqual([true, true])
    memory.learn('key', answer('good', 6), lax, source)
    expect(under()).toEqual([false, true])
    memory.learn('key', answer('unknown', 6), strict, source)
    expect(under()).toEqual([true, false])
  })
})

test(`ocspAnswers: ${limits.ocspAnswers} are remembered, the one used longest ago is forgotten`, () => {
  const memory = new OcspMemory()
  const learn = (n: number) => memory.learn(String(n), answer('good', 5), strict, source)
  for (let n = 0; n < limits.ocspAnswers; n++) learn(n)
  expect(memory.get('0')).toBeDefined()
  learn(limits.ocspAnswers)
  expect([memory.get('0') === undefined, memory.get('1') === undefined]).toEqual([false, true])
})

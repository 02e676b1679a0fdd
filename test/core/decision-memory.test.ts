import { beforeEach, describe, expect, test } from '@jest/globals'
import { type Authentication, DecisionMemory, type Epoch } from '../../src/core/decision-memory.js'
import { deny } from '../../src/errors.js'
import { LruMap } from '../../src/lru-map.js'

const at = 1_000_000
const epochOf = (trust: number, intermediates?: number, revocation = 0) =>
  ({
    trust: { generation: trust },
    intermediates: intermediates === undefined ? undefined : { generation: intermediates },
    revocation,
  }) as unknown as Epoch
const epoch = epochOf(1, 1)
const accepted = (fingerprint: string, { holdsUntil = at + 1_000, via = 'tls' } = {}) =>
  ({ identity: { via }, path: { fingerprint }, decidedAt: at, holdsUntil }) as unknown as Authentication
const expired = deny('ERR_CLIENT_CERT_EXPIRED', { subject: 'CN=a', notAfter: new Date(0), at: new Date(at) })

let memory: DecisionMemory
beforeEach(() => {
  memory = new DecisionMemory()
})

describe('an acceptance is remembered', () => {
  test('for its certificate and for its session, both ends of its time included', () => {
    const session = {}
    memory.remember(session, accepted('a'), epoch)
    for (const time of [at, at + 1_000]) {
      expect(memory.ofCertificate('tls', 'a', epoch, time)).toMatchObject({ decidedAt: at })
      expect(memory.ofSession(session, epoch, time)).toMatchObject({ decidedAt: at })
    }
    expect(memory.ofCertificate('tls', 'b', epoch, at)).toBeUndefined()
    expect(memory.ofSession({}, epoch, at)).toBeUndefined()
  })

  test('by the way it came: what a proxy said is no answer about a connection', () => {
    const known = memory.remember(undefined, accepted('a', { via: 'proxy' }), epoch)
    expect(memory.ofCertificate('proxy', 'a', epoch, at)).toBe(known)
    expect(memory.ofCertificate('tls', 'a', epoch, at)).toBeUndefined()
  })

  const forgotten: [name: string, epoch: Epoch, time: number][] = [
    ['a millisecond after its time', epoch, at + 1_001],
    ['at a clock that stands before it was made', epoch, at - 1],
    ['at a clock that does not know the time', epoch, Number.NaN],
    ['under another generation of anchors', epochOf(2, 1), at],
    ['under an older generation of anchors', epochOf(0, 1), at],
    ['under another generation of intermediates', epochOf(1, 2), at],
    ['without the intermediates', epochOf(1), at],
    ['after revocation changed', epochOf(1, 1, 1), at],
  ]
  for (const [name, otherEpoch, time] of forgotten) {
    test(`but not ${name}`, () => {
      const session = {}
      memory.remember(session, accepted('a'), epoch)
      expect(memory.ofCertificate('tls', 'a', otherEpoch, time)).toBeUndefined()
      expect(memory.ofSession(session, otherEpoch, time)).toBeUndefined()
    })
  }

  test('ten thousand of them, and of one more the one that was used longest ago is forgotten', () => {
    for (let i = 0; i < 10_000; i++) memory.remember(undefined, accepted(`${i}`), epoch)
    expect(memory.ofCertificate('tls', '0', epoch, at)).toBeDefined()
    memory.remember(undefined, accepted('new'), epoch)
    expect(memory.ofCertificate('tls', '0', epoch, at)).toBeDefined()
    expect(memory.ofCertificate('tls', '1', epoch, at)).toBeUndefined()
    expect(memory.ofCertificate('tls', '2', epoch, at)).toBeDefined()
  })
})

describe('a refusal is remembered', () => {
  test('for ten seconds', () => {
    memory.rememberRefusal('a', expired, epoch, at)
    expect(memory.refusalOf('a', epoch, at + 10_000)?.error).toBe(expired)
    expect(memory.refusalOf('a', epoch, at + 10_001)).toBeUndefined()
    expect(memory.refusalOf('a', epoch, at - 1)).toBeUndefined()
    expect(memory.refusalOf('a', epochOf(2, 1), at)).toBeUndefined()
  })

  test('a thousand of them, and never at the cost of an acceptance', () => {
    memory.remember(undefined, accepted('friend'), epoch)
    for (let i = 0; i <= 1_000; i++) memory.rememberRefusal(`${i}`, expired, epoch, at)
    expect(memory.refusalOf('0', epoch, at)).toBeUndefined()
    expect(memory.refusalOf('1', epoch, at)).toBeDefined()
    for (let i = 0; i < 20_000; i++) memory.rememberRefusal(`x${i}`, expired, epoch, at)
    expect(memory.ofCertificate('tls', 'friend', epoch, at)).toBeDefined()
  })

  test('but not one that may end by itself', () => {
    const passing = [
      deny('ERR_CLIENT_CERT_NOT_YET_VALID', { subject: 'CN=a', notBefore: new Date(at), at: new Date(0) }),
      deny('ERR_CLIENT_CERT_REVOCATION_UNKNOWN', { subject: 'CN=a', reason: 'offline' }),
      deny('ERR_CLIENT_CERT_INTERNAL', { stage: 'a test' }),
    ]
    for (const error of passing) memory.rememberRefusal('a', error, epoch, at)
    expect(memory.refusalOf('a', epoch, at)).toBeUndefined()
  })

  test('never as an acceptance, nor an acceptance as a refusal', () => {
    memory.rememberRefusal('a', expired, epoch, at)
    expect(memory.ofCertificate('tls', 'a', epoch, at)).toBeUndefined()
    memory.remember(undefined, accepted('b'), epoch)
    expect(memory.refusalOf('b', epoch, at)).toBeUndefined()
  })
})

describe('LruMap', () => {
  test('never holds more than it was made for, and forgets what was neither set nor got for longest', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.get('a')
    map.set('c', 3)
    expect([map.size, map.get('a'), map.get('b'), map.get('c')]).toEqual([2, 1, undefined, 3])
    map.set('a', 4)
    map.set('d', 5)
    expect([map.size, map.get('a'), map.get('c'), map.get('d')]).toEqual([2, 4, undefined, 5])
  })
})

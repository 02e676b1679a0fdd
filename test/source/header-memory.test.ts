import { hash } from 'node:crypto'
import { describe, expect, jest, test } from '@jest/globals'
import { createAuthenticator, forwardedHeader, proxyAddress } from '../../src/index.js'
import { HeaderMemory, sample } from '../../src/source/header-memory.js'
import { rfc9440 } from '../../src/source/rfc9440.js'
import { createTestPki } from '../../src/testing.js'
import { byteSequence, requestWith } from './request.js'

/** Text like base64 of something random, the same for the same number. */
function textOf(n: number, length = 1_600): string {
  let text = ''
  for (let i = 0; text.length < length; i++) text += hash('sha512', `${n} ${i}`, 'base64')
  return text.slice(0, length)
}

describe('what is remembered', () => {
  test('is found by the whole value and all lines of the chain', () => {
    const memory = new HeaderMemory<number>(1_000_000)
    memory.remember('value', ['a', 'b'], 7, 0)
    expect(memory.find('value', ['a', 'b'])).toBe(7)
    for (const chain of [[], ['a'], ['b', 'a'], ['a', 'b', ''], ['ab']])
      expect(memory.find('value', chain)).toBeUndefined()
    expect(memory.find('values', ['a', 'b'])).toBeUndefined()
    expect(memory.find('', [])).toBeUndefined()
  })

  test('ten thousand values are all found', () => {
    const memory = new HeaderMemory<number>(1_000_000_000)
    for (let n = 0; n < 10_000; n++) memory.remember(textOf(n), [], n, 0)
    let lost = 0
    for (let n = 0; n < 10_000; n++) if (memory.find(textOf(n), []) !== n) lost++
    // Four places each: a table that is half full may push a few out, and those are decoded again.
    expect(lost).toBeLessThan(500)
  })

  test('forged collisions push each other out, and are never taken for another', () => {
    const memory = new HeaderMemory<number>(1_000_000_000)
    // Characters the hash does not look at.
    const forgeries = Array.from({ length: 200 }, (_, n) => {
      const text = [...'A'.repeat(1_600)]
      ;[...String(n).padStart(4, '0')].forEach((digit, i) => {
        text[1_392 + i] = digit
      })
      return text.join('')
    })
    const [first] = forgeries as [string]
    const colliding = forgeries.filter((value) => sample(value) === sample(first))
    colliding.forEach((value, n) => {
      memory.remember(value, [], n, 0)
    })
    expect(colliding.length).toBeGreaterThan(100)
    expect(memory.size).toBe(4)
    colliding.forEach((value, n) => {
      expect([undefined, n]).toContain(memory.find(value, []))
    })
  })
})

describe('its bound', () => {
  test('is of octets, whatever they are of: values, chains, or what they were decoded to', () => {
    const capacity = 100_000
    for (const [value, chain, octets] of [
      [2_000, 0, 0],
      [10, 2_000, 0],
      [10, 0, 2_000],
    ] as const) {
      const memory = new HeaderMemory<number>(capacity)
      for (let n = 0; n < 1_000; n++) memory.remember(textOf(n, value), [textOf(n, chain)], n, octets)
      expect(memory.octets).toBeLessThanOrEqual(capacity)
      expect(memory.size).toBeGreaterThan(10)
      expect(memory.size).toBeLessThan(50)
    }
  })

  test('a value that exceeds it alone is not remembered', () => {
    const memory = new HeaderMemory<number>(1_000)
    memory.remember('x'.repeat(1_000), [], 1, 0)
    expect([memory.size, memory.octets]).toEqual([0, 0])
  })

  test('what is used again and again stays while others come once', () => {
    const memory = new HeaderMemory<number>(100_000)
    memory.remember(textOf(0), [], 0, 0)
    let lost = 0
    for (let n = 1; n < 2_000; n++) {
      memory.remember(textOf(n), [], n, 0)
      if (memory.find(textOf(0), []) === undefined) {
        lost++
        memory.remember(textOf(0), [], 0, 0)
      }
    }
    expect(lost).toBeLessThan(20)
  })
})

test('a header is decoded once for a client that is accepted, each time for one that is refused', async () => {
  const pki = await createTestPki({ name: 'Lab' })
  const alice = await pki.issue()
  const stranger = await (await createTestPki({ name: 'Stranger' })).issue()
  const decode = jest.spyOn(rfc9440, 'certificate')
  const authenticator = createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    log: false,
    source: forwardedHeader({ preset: 'rfc9440', from: proxyAddress('10.0.3.7') }),
  })
  const ask = async (der: Uint8Array) =>
    (await authenticator.authenticate(requestWith([['Client-Cert', byteSequence(der)]]))).outcome
  for (const [der, outcome, calls] of [
    [alice.certificate.der, 'accepted', 1],
    [stranger.certificate.der, 'refused', 5],
  ] as const) {
    decode.mockClear()
    for (let i = 0; i < 5; i++) expect(await ask(der)).toBe(outcome)
    expect(decode).toHaveBeenCalledTimes(calls)
  }
  // Another way to write the same certificate is another header, and the same client.
  decode.mockClear()
  const request = requestWith([['Client-Cert', `${byteSequence(alice.certificate.der)};a=1`]])
  expect((await authenticator.authenticate(request)).outcome).toBe('accepted')
  expect(decode).toHaveBeenCalledTimes(1)
  decode.mockRestore()
})

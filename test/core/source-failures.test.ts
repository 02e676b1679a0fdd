/** What an application's own source, gate or checker says, or does not. */
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { deny } from '../../src/errors.js'
import {
  type CertificateSource,
  createAuthenticator,
  forwardedHeader,
  type RevocationStatus,
  rules,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import type { AnyRequest, Reading } from '../../src/source/source.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { noon } from '../support/pki.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ now: noon })
  alice = await pki.issue({ subject: 'CN=alice' })
})
afterEach(() => {
  jest.useRealTimers()
})

const request = { headers: {}, rawHeaders: [], socket: { remoteAddress: '127.0.0.1' } } as unknown as AnyRequest
const presented = (): Reading => ({
  presented: { certificate: alice.certificate.der, intermediates: [pki.intermediate.certificate.der], via: 'proxy' },
})

const never = <T>() => new Promise<T>(() => {})
const later = <T>(milliseconds: number, value: () => T) =>
  new Promise<T>((resolve) => setTimeout(() => resolve(value()), milliseconds))

/** What is decided about one request by a source of the application's own, when `elapsed` milliseconds have passed. */
async function decide(read: () => Reading | Promise<Reading>, elapsed = 0, check?: () => Promise<RevocationStatus>) {
  if (elapsed > 0) jest.useFakeTimers()
  const source: CertificateSource = { name: 'our "mesh"', read }
  const revocation = check === undefined ? 'none' : { name: 'our database', generation: 0, check }
  const auth = createAuthenticator({ trust: pki.trust, source, revocation, now: () => noon.getTime(), log: false })
  const pending = auth.authenticate(request)
  if (elapsed > 0) await jest.advanceTimersByTimeAsync(elapsed)
  const decision = await pending
  return decision.outcome === 'refused' ? decision.error : decision.outcome
}

describe('a source of the application’s own', () => {
  test('that answers, at once or in time, is believed like ours', async () => {
    expect(await decide(presented)).toBe('accepted')
    expect(await decide(() => later(limits.sourceMilliseconds - 1, presented), limits.sourceMilliseconds)).toBe(
      'accepted',
    )
  })

  test.each<[string, () => Reading | Promise<Reading>, number, RegExp]>([
    ['throws', () => thrown(new Error('down')), 0, /failed, which refuses: "Error: down" — mend it; if it is one of/],
    ['rejects', () => Promise.reject(new Error('down')), 0, /failed, which refuses: "Error: down"/],
    ['rejects with nothing', () => Promise.reject(undefined), 0, /failed, which refuses: "undefined"/],
    [
      'never answers',
      never,
      limits.sourceMilliseconds,
      /failed, which refuses: "Error: it has not answered in 10000 ms"/,
    ],
    [
      'answers too late',
      () => later(limits.sourceMilliseconds + 1, presented),
      limits.sourceMilliseconds,
      /not answered/,
    ],
  ])('that %s refuses with 500 under its own name', async (_, read, elapsed, says) => {
    const error = await decide(read, elapsed)
    expect(error).toMatchObject({ code: 'ERR_CLIENT_CERT_INTERNAL', status: 500 })
    expect((error as Error & { help: string }).help).toMatch(/^the source "our \\"mesh\\"" /)
    expect((error as Error & { help: string }).help).toMatch(says)
  })

  test.each<[string, () => Reading | Promise<Reading>]>([
    // biome-ignore lint/suspicious/noThenProperty: a promise is what has it
    ['a function that is a promise', () => Object.assign(() => {}, { then: () => {} }) as never],
    // biome-ignore lint/suspicious/noThenProperty: a promise is what has it
    ['an object that is one', () => ({ then: () => {} }) as never],
  ])('%s and never answers is given up too', async (_, read) => {
    expect(await decide(read, limits.sourceMilliseconds)).toMatchObject({ code: 'ERR_CLIENT_CERT_INTERNAL' })
  })

  test('whose reading throws when it is looked at refuses, with a candidate beside it too', async () => {
    const reading = {
      get presented(): never {
        throw new Error('gone')
      },
    }
    const source: CertificateSource = { name: 'ours', read: () => reading }
    for (const candidate of [undefined, { rules: rules.commonName('alice') }]) {
      const options = {
        trust: pki.trust,
        source,
        revocation: 'none',
        log: false,
        ...(candidate && { candidate }),
      } as const
      const auth = createAuthenticator(options)
      expect(await auth.authenticate(request)).toMatchObject({ error: { code: 'ERR_CLIENT_CERT_INTERNAL' } })
      await auth.close()
    }
  })

  test.each<[string, () => unknown]>([
    ['throws', () => thrown(new Error('cache'))],
    ['rejects', () => Promise.reject(new Error('cache'))],
  ])('whose accepted() %s changes no decision, and ends no process', async (_, accepted) => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', note)
    try {
      expect(await decide(() => ({ ...presented(), accepted: accepted as () => void }))).toBe('accepted')
      await new Promise((resolve) => setTimeout(resolve, 10))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', note)
    }
  })

  test('that is asked about a connection is given up in the same way', async () => {
    jest.useFakeTimers()
    const source: CertificateSource = { name: 'ours', read: never, readSocket: never as never }
    const auth = createAuthenticator({ trust: pki.trust, source, revocation: 'none', log: false })
    const pending = auth.authenticateSocket({} as TLSSocket)
    await jest.advanceTimersByTimeAsync(limits.sourceMilliseconds)
    expect(await pending).toMatchObject({ error: { code: 'ERR_CLIENT_CERT_INTERNAL' } })
  })

  test('a refusal it throws stays what it is', async () => {
    const error = deny('ERR_CLIENT_CERT_RENEGOTIATED', { protocol: 'TLSv1.2' })
    expect(await decide(() => thrown(error))).toBe(error)
    expect(await decide(() => Promise.reject(error))).toBe(error)
  })
})

test('a gate that never answers refuses: nobody is let in, and no request hangs', async () => {
  jest.useFakeTimers()
  const from = { description: 'our mesh', admits: never<boolean> }
  const source = forwardedHeader({ preset: 'rfc9440', from })
  const auth = createAuthenticator({ trust: pki.trust, source, revocation: 'none', log: false })
  const value = `:${Buffer.from(alice.certificate.der).toString('base64')}:`
  const rawHeaders = ['Client-Cert', value]
  const pending = auth.authenticate({
    ...request,
    headers: { 'client-cert': value },
    rawHeaders,
  } as unknown as AnyRequest)
  await jest.advanceTimersByTimeAsync(limits.sourceMilliseconds)
  expect(await pending).toMatchObject({ outcome: 'refused', error: { code: 'ERR_CLIENT_CERT_INTERNAL' } })
})

describe('a revocation checker of the application’s own', () => {
  const good = (): RevocationStatus => ({ status: 'good' })

  test('is waited for as long as a handshake may take', async () => {
    const check = () => later(limits.revocationMilliseconds - 1, good)
    expect(await decide(presented, limits.revocationMilliseconds, check)).toBe('accepted')
  })

  test('that never answers refuses', async () => {
    const error = await decide(presented, limits.revocationMilliseconds, never)
    expect(error).toMatchObject({ code: 'ERR_CLIENT_CERT_INTERNAL', status: 500 })
    expect((error as Error & { help: string }).help).toMatch(
      /^the revocation checker "our database" failed, which refuses: "Error: it has not answered in 120000 ms"/,
    )
  })
})

function thrown(error: Error): never {
  throw error
}

import { hash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals'
import {
  allOf,
  anyOf,
  ClientCertConfigError,
  platformNetwork,
  proxyAddress,
  proxyCertificate,
  proxySecret,
  type TrustedProxy,
  unixSocket,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { requestWith } from './request.js'

const emitWarning = jest.spyOn(process, 'emitWarning').mockReturnValue(undefined as never)
afterEach(() => {
  emitWarning.mockClear()
  jest.useRealTimers()
})
const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-gates-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const secret = hash('sha256', 'one', 'hex')
const next = hash('sha256', 'two', 'hex')
const carrying = (...values: string[]) =>
  requestWith([['Host', 'a'], ...values.map((value) => ['X-Proxy-Secret', value] as const), ['Accept', 'b']])

describe('proxySecret', () => {
  const gate = proxySecret({ header: 'X-Proxy-Secret', secrets: [secret, next] })

  test('admits every one of its secrets, and no other', () => {
    expect(gate.admits(carrying(secret))).toBe(true)
    expect(gate.admits(carrying(next))).toBe(true)
    for (const other of [
      '',
      secret.slice(1),
      `${secret}0`,
      secret.toUpperCase(),
      ` ${secret}`,
      `${secret}, ${secret}`,
      'x'.repeat(5_000),
    ]) {
      expect([other, gate.admits(carrying(other))]).toEqual([other, false])
    }
    expect(gate.admits(requestWith([]))).toBe(false)
  })

  test('a secret that came twice is nobody’s, be it right both times', () => {
    expect(gate.admits(carrying(secret, secret))).toBe(false)
    expect(gate.admits(carrying('x', secret))).toBe(false)
    expect(gate.admits(carrying(secret, 'x'))).toBe(false)
  })

  test('a look-alike of the header is not the header', () => {
    expect(gate.admits(requestWith([['X_Proxy_Secret', secret]]))).toBe(false)
  })

  test('takes the secret out of the request, right or wrong, and leaves the rest', () => {
    for (const value of [secret, 'wrong']) {
      const request = carrying(value)
      const distinct: Record<string, string[]> = { host: ['a'], 'x-proxy-secret': [value] }
      Object.assign(request, { headersDistinct: distinct })
      gate.admits(request)
      expect(request.rawHeaders).toEqual(['Host', 'a', 'Accept', 'b'])
      expect([Object.keys(request.headers), Object.keys(distinct)]).toEqual([['host', 'accept'], ['host']])
      expect(JSON.stringify({ ...request, socket: undefined })).not.toContain(value)
    }
  })

  test('the same request is admitted again, by it and by another gate with this secret, and by none without', () => {
    const request = carrying(secret)
    expect([gate.admits(request), gate.admits(request)]).toEqual([true, true])
    expect(proxySecret({ header: 'x-proxy-secret', secrets: [secret] }).admits(request)).toBe(true)
    expect(proxySecret({ header: 'x-proxy-secret', secrets: [next] }).admits(request)).toBe(false)
    expect(proxySecret({ header: 'X-Other', secrets: [secret] }).admits(request)).toBe(false)
  })

  test('its description, which is in log lines, holds no secret', () => {
    expect(gate.description).toBe("proxySecret({ header: 'X-Proxy-Secret' })")
  })

  test('a file is read line by line, and again when it changes; one that breaks changes nothing', () => {
    jest.useFakeTimers()
    const file = join(folder, 'secret')
    writeFileSync(file, `${secret}\n\n`, { mode: 0o600 })
    const watched = proxySecret({ header: 'X-Proxy-Secret', secrets: { file } })
    expect([watched.admits(carrying(secret)), watched.admits(carrying(next))]).toEqual([true, false])
    writeFileSync(file, `${secret}\r\n${next}\r\n`)
    jest.advanceTimersByTime(3_000)
    expect([watched.admits(carrying(secret)), watched.admits(carrying(next))]).toEqual([true, true])
    writeFileSync(file, 'short\n')
    jest.advanceTimersByTime(3_000)
    expect(emitWarning.mock.calls.map(([, options]) => (options as { code?: string }).code)).toEqual([
      'MTLS_RELOAD_FAILED',
    ])
    expect(String(emitWarning.mock.calls[0]?.[0])).not.toContain('short')
    expect(watched.admits(carrying(next))).toBe(true)
    watched.close()
    writeFileSync(file, `${secret}\n`)
    jest.advanceTimersByTime(3_000)
    expect(watched.admits(carrying(next))).toBe(true)
  })

  test(`a file of ${limits.secretFileBytes} octets is read, one more is refused`, () => {
    const file = join(folder, 'large')
    const open = () => proxySecret({ header: 'X', secrets: { file } }).close()
    writeFileSync(file, `${secret}\n`.padEnd(limits.secretFileBytes, '\n'))
    expect(open).not.toThrow()
    writeFileSync(file, `${secret}\n`.padEnd(limits.secretFileBytes + 1, '\n'))
    expect(open).toThrow('more than 65536 octets')
  })

  const cases: [given: unknown, said: string][] = [
    [undefined, 'expected { header, secrets }'],
    [{ header: 'X', secret }, 'Did you mean "secrets"?'],
    [{ header: 'X Y', secrets: [secret] }, 'is not a header name'],
    [{ header: 'X' }, 'a list of one or several'],
    [{ header: 'X', secrets: [] }, 'a list of one or several'],
    [{ header: 'X', secrets: secret }, 'a list of one or several'],
    [{ header: 'X', secrets: [undefined] }, 'is the environment variable set?'],
    [{ header: 'X', secrets: ['x'.repeat(31)] }, 'between 32 and 1024 characters'],
    [{ header: 'X', secrets: [secret.repeat(17)] }, 'between 32 and 1024 characters'],
    [{ header: 'X', secrets: [secret, `${secret} `] }, 'secret 2 has characters'],
    [{ header: 'X', secrets: [`${secret}ü`] }, 'has characters'],
    [{ header: 'X', secrets: { file: join(folder, 'nowhere') } }, 'ENOENT'],
    [{ header: 'X', secrets: { file: '' } }, 'file is a path'],
  ]
  test.each(cases)('proxySecret(%j): %s', (given, said) => {
    expect(() => proxySecret(given as never)).toThrow(said)
    expect(() => proxySecret(given as never)).toThrow(ClientCertConfigError)
  })

  test('no message repeats a secret', () => {
    for (const secrets of [[`${secret}\n`], ['hunter2'.repeat(3)]]) {
      expect(() => proxySecret({ header: 'X', secrets })).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining(secrets[0] as string) }),
      )
    }
  })
})

describe('unixSocket', () => {
  const from = (address: unknown, remoteAddress?: string) =>
    ({ ...requestWith([]), socket: { remoteAddress, server: { address: () => address } } }) as never

  test('admits a peer without an address of a server that listens on a path', () => {
    expect(unixSocket().admits(from('/run/app.sock'))).toBe(true)
  })

  test.each<[string, never]>([
    ['a peer with an address', from('/run/app.sock', '127.0.0.1')],
    ['a server that listens on an address', from({ address: '127.0.0.1', port: 80 })],
    ['a server that no longer listens', from(null)],
    ['a name of the abstract namespace, which has no permissions', from('\0app')],
    ['a connection without a server', { ...requestWith([]), socket: {} } as never],
    ['a request without a socket', { rawHeaders: [], headers: {} } as never],
  ])('does not admit %s', (_, request) => {
    expect(unixSocket().admits(request)).toBe(false)
  })

  test('a peer without an address passes no other gate', () => {
    const request = from('/run/app.sock')
    expect(proxyAddress('127.0.0.1', '::1').admits(request)).toBe(false)
    expect(platformNetwork('I have read that whoever reaches this port can be anybody').admits(request)).toBe(false)
  })
})

describe('platformNetwork', () => {
  test('admits every address, and says aloud that it does', () => {
    const gate = platformNetwork('I have read that whoever reaches this port can be anybody')
    expect(gate.admits(requestWith([], '203.0.113.9'))).toBe(true)
    expect(emitWarning.mock.calls.map(([, options]) => (options as { code?: string }).code)).toEqual([
      'MTLS_PLATFORM_NETWORK',
    ])
  })

  test.each([
    undefined,
    '',
    true,
    'I have read',
    'i have read that whoever reaches this port can be anybody',
    'yes, I have read that',
    'I have read ',
  ])('platformNetwork(%j) is refused, with the gates to prefer', (statement) => {
    expect(() => platformNetwork(statement as never)).toThrow(
      'prefer proxyAddress(), proxySecret() or proxyCertificate()',
    )
    expect(emitWarning).not.toHaveBeenCalled()
  })
})

describe('allOf, anyOf', () => {
  const answering = (answer: unknown): TrustedProxy => ({ description: 'x', admits: () => answer as never })
  const later = (answer: unknown) => answering(Promise.resolve(answer))
  const request = requestWith([])

  test.each<[string, TrustedProxy, boolean]>([
    ['allOf: all', allOf(answering(true), answering(true)), true],
    ['allOf: not the first', allOf(answering(false), answering(true)), false],
    ['allOf: not the last', allOf(answering(true), answering(false)), false],
    ['allOf: truthy is not true', allOf(answering(true), answering('yes')), false],
    ['allOf: nothing is not true', allOf(answering(true), answering(undefined)), false],
    ['anyOf: one', anyOf(answering(false), answering(true)), true],
    ['anyOf: none', anyOf(answering(false), answering(false)), false],
    ['anyOf: truthy is not true', anyOf(answering(1), answering('yes')), false],
  ])('%s', (_, gate, expected) => {
    expect(gate.admits(request, 0)).toBe(expected)
  })

  test.each<[string, TrustedProxy, boolean]>([
    ['allOf: all, one later', allOf(answering(true), later(true)), true],
    ['allOf: one later does not', allOf(answering(true), later(false)), false],
    ['allOf: a truthy promise is not true', allOf(answering(true), later('yes')), false],
    ['anyOf: one later', anyOf(answering(false), later(true)), true],
    ['anyOf: none, later', anyOf(later(false), later(1)), false],
  ])('%s', async (_, gate, expected) => {
    const answer = gate.admits(request, 0)
    expect(answer).toBeInstanceOf(Promise)
    expect(await answer).toBe(expected)
  })

  test('what a gate throws, or rejects with, is no admission', async () => {
    const broken: TrustedProxy = {
      description: 'x',
      admits: () => {
        throw new Error('broken')
      },
    }
    expect(() => anyOf(answering(true), broken).admits(request, 0)).toThrow('broken')
    await expect(
      anyOf(answering(true), answering(Promise.reject(new Error('broken')))).admits(request, 0),
    ).rejects.toThrow('broken')
  })

  test('a gate that throws beside one that rejects later leaves no rejection nobody handles', async () => {
    const unhandled: unknown[] = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listener)
    const throwing: TrustedProxy = {
      description: 'x',
      admits: () => {
        throw new Error('broken')
      },
    }
    expect(() => allOf(answering(Promise.reject(new Error('later'))), throwing).admits(request, 0)).toThrow('broken')
    await new Promise((resolve) => setTimeout(resolve, 20))
    process.off('unhandledRejection', listener)
    expect(unhandled).toEqual([])
  })

  test('anyOf asks every gate, so that a secret leaves the request whoever admits', () => {
    const carried = carrying(secret)
    const gate = anyOf(answering(true), proxySecret({ header: 'X-Proxy-Secret', secrets: [secret] }))
    expect(gate.admits(carried, 0)).toBe(true)
    expect(carried.rawHeaders).not.toContain(secret)
  })

  test('say what they are made of, and refuse what is no gate', () => {
    expect(allOf(unixSocket(), anyOf(proxyAddress('::1'), proxyAddress('10.0.0.1'))).description).toBe(
      "allOf(unixSocket(), anyOf(proxyAddress('::1'), proxyAddress('10.0.0.1')))",
    )
    expect(() => allOf(unixSocket(), undefined as never)).toThrow('argument 2 is no gate')
    expect(() => anyOf('10.0.0.1' as never)).toThrow('argument 1 is no gate')
    expect(() => (anyOf as () => unknown)()).toThrow('argument 1 is no gate')
  })
})

describe('proxyCertificate: options', () => {
  test.each<[unknown, string]>([
    [undefined, 'expected an authenticator'],
    [{}, 'expected an authenticator'],
    ['./proxy-ca.pem', 'expected an authenticator'],
    [{ pins: [] }, 'one or several'],
    [{ pins: 'x' }, 'one or several'],
    [{ pins: [undefined] }, 'is no pin'],
    [{ pins: ['ab'.repeat(32)] }, 'is no pin'],
    [{ pins: [`${'A'.repeat(43)}=`], also: 1 }, 'unknown option "also"'],
  ])('proxyCertificate(%j): %s', (given, said) => {
    expect(() => proxyCertificate(given as never)).toThrow(said)
  })

  test('a connection without TLS passes neither', () => {
    const authenticator = { authenticateSocket: async () => ({ outcome: 'accepted' }) }
    expect(proxyCertificate(authenticator).admits(requestWith([]), 0)).toBe(false)
    expect(proxyCertificate({ pins: [`${'A'.repeat(43)}=`] }).admits(requestWith([]), 0)).toBe(false)
  })
})

/** What cannot be had from a real socket: other runtimes, floods of certificates, getters that fail. Real ones are in test/integration. */
import { EventEmitter } from 'node:events'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { type AnyRequest, createAuthenticator, type PresentedChain, tlsSocket } from '../../src/index.js'
import { limits } from '../../src/limits.js'
import type { Reading } from '../../src/source/source.js'
import { createTestPki, type TestCredential } from '../../src/testing.js'
import { thrownBy } from './request.js'

let alice: TestCredential
beforeAll(async () => {
  alice = await (await createTestPki()).issue()
})

interface Peer {
  raw: Uint8Array
  issuerCertificate: Peer | undefined
}

const chainOf = (length: number): Peer | undefined =>
  length === 0 ? undefined : { raw: alice.certificate.der, issuerCertificate: chainOf(length - 1) }

function socketWith(facts: object) {
  return Object.assign(new EventEmitter(), {
    encrypted: true,
    isSessionReused: () => false,
    getProtocol: () => 'TLSv1.3',
    getPeerX509Certificate: jest.fn((): Peer | undefined => chainOf(2)),
    disableRenegotiation: jest.fn(),
    destroy: jest.fn(),
    ...facts,
  })
}

const requestOver = (socket: object, more: object = {}) =>
  ({ socket, headers: {}, rawHeaders: [], method: 'GET', url: '/', ...more }) as unknown as AnyRequest

test('the peer is read once for each connection, because Node’s getter loses the intermediates when it is called again', () => {
  const socket = socketWith({})
  const source = tlsSocket()
  const first = source.read(requestOver(socket))
  expect(source.read(requestOver(socket))).toBe(first)
  expect(tlsSocket().read(requestOver(socket))).toBe(first)
  expect(source.readSocket?.(socket as never)).toBe(first)
  expect(socket.getPeerX509Certificate).toHaveBeenCalledTimes(1)
})

describe('octets of a client that was accepted', () => {
  test('are kept once, however many connections it has', async () => {
    const pki = await createTestPki()
    const { certificate, chain } = await pki.issue()
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false })
    const presentedBy = async () => {
      const copy = (der: Uint8Array, issuerCertificate?: Peer): Peer => ({ raw: der.slice(), issuerCertificate })
      const peer = copy(certificate.der, copy((chain[0] as { der: Uint8Array }).der))
      const socket = socketWith({ getPeerX509Certificate: () => peer })
      expect((await auth.authenticateSocket(socket as never)).outcome).toBe('accepted')
      return tlsSocket().readSocket(socket as never).presented as PresentedChain
    }
    const [first, second] = [await presentedBy(), await presentedBy()]
    expect(second.certificate).toBe(first.certificate)
    expect(second.intermediates[0]).toBe(first.intermediates[0])
    expect(Buffer.from(first.certificate)).toEqual(Buffer.from(certificate.der))
  })

  test('but what is not on its path, and what was refused, stay as they were presented', () => {
    const reading = tlsSocket().read(requestOver(socketWith({}))) as Extract<Reading, { session?: object }>
    const { certificate, intermediates } = reading.presented
    reading.accepted?.([Uint8Array.of(0x30, 0)])
    expect(reading.presented.certificate).toBe(certificate)
    expect(reading.presented.intermediates).toEqual(intermediates)
    expect(reading.presented.intermediates[0]).toBe(intermediates[0])
  })
})

test('a connection without a certificate is asked again', () => {
  const socket = socketWith({})
  socket.getPeerX509Certificate.mockReturnValueOnce(undefined)
  const source = tlsSocket()
  expect(source.read(requestOver(socket)).presented).toBeUndefined()
  expect(source.read(requestOver(socket)).presented).toBeDefined()
})

test('HTTP/2: streams of one session share one reading, although each has a socket of its own', () => {
  const session = {}
  const [one, two] = [socketWith({}), socketWith({})]
  const source = tlsSocket()
  const first = source.read(requestOver(one, { stream: { session } }))
  expect(source.read(requestOver(two, { stream: { session } }))).toBe(first)
  expect(two.getPeerX509Certificate).not.toHaveBeenCalled()
})

test('whether Node authorized the peer is not looked at, nor is any of its legacy views', () => {
  const socket = socketWith({})
  for (const name of ['authorized', 'authorizationError', 'getPeerCertificate', 'getPeerFinished']) {
    Object.defineProperty(socket, name, {
      get() {
        throw new Error(`${name} was read`)
      },
    })
  }
  expect(tlsSocket().read(requestOver(socket)).presented).toBeDefined()
})

test(`${limits.presentedCertificates} certificates are read, one more is refused`, () => {
  const fitting = socketWith({ getPeerX509Certificate: () => chainOf(limits.presentedCertificates) })
  expect(tlsSocket().read(requestOver(fitting)).presented?.intermediates).toHaveLength(limits.presentedCertificates - 1)
  const flooding = socketWith({ getPeerX509Certificate: () => chainOf(limits.presentedCertificates + 1) })
  expect(thrownBy(() => tlsSocket().read(requestOver(flooding))).code).toBe('ERR_CLIENT_CERT_BUDGET')
})

test('a connection whose chain is too long stays refused, although Node’s getter gives less when it is called again', () => {
  const socket = socketWith({})
  socket.getPeerX509Certificate.mockReturnValueOnce(chainOf(limits.presentedCertificates + 1))
  const refusals = [
    () => tlsSocket().readSocket(socket as never),
    () => tlsSocket().read(requestOver(socket)),
    () => tlsSocket().read(requestOver(socketWith({ ...socket }), { stream: { session: {} } })),
  ].map(thrownBy)
  expect(refusals.map(({ code }) => code)).toEqual(Array(3).fill('ERR_CLIENT_CERT_BUDGET'))
  expect(new Set(refusals).size).toBe(3)
  expect(socket.getPeerX509Certificate).toHaveBeenCalledTimes(1)
})

test('a chain that goes round in circles ends', () => {
  const circle: Peer = { raw: alice.certificate.der, issuerCertificate: undefined }
  circle.issuerCertificate = circle
  const socket = socketWith({ getPeerX509Certificate: () => circle })
  expect(thrownBy(() => tlsSocket().read(requestOver(socket))).code).toBe('ERR_CLIENT_CERT_BUDGET')
})

test('a runtime that hides the peer certificate is refused by name', () => {
  const socket = socketWith({ getPeerX509Certificate: undefined })
  expect(thrownBy(() => tlsSocket().read(requestOver(socket))).code).toBe('ERR_CLIENT_CERT_RUNTIME')
})

test('a plain socket with a certificate getter is no TLS socket', () => {
  for (const encrypted of [false, undefined, 1, 'true']) {
    expect(tlsSocket().read(requestOver(socketWith({ encrypted }))).presented).toBeUndefined()
  }
})

describe('S-08: renegotiation', () => {
  test.each(['TLSv1', 'TLSv1.1', 'TLSv1.2'])(
    'is disabled on a %s connection that identified itself, and refused should it complete',
    (protocol) => {
      const socket = socketWith({ getProtocol: () => protocol })
      const source = tlsSocket()
      source.read(requestOver(socket))
      expect(socket.disableRenegotiation).toHaveBeenCalledTimes(1)
      socket.emit('secure')
      expect(socket.destroy).toHaveBeenCalled()
      for (const again of [() => source.read(requestOver(socket)), () => tlsSocket().readSocket?.(socket as never)]) {
        expect(thrownBy(again)).toMatchObject({ code: 'ERR_CLIENT_CERT_RENEGOTIATED', detail: { protocol } })
      }
    },
  )

  test('of TLS 1.3 does not exist: its socket is left alone', () => {
    const socket = socketWith({})
    tlsSocket().read(requestOver(socket))
    expect([socket.disableRenegotiation.mock.calls.length, socket.listenerCount('secure')]).toEqual([0, 0])
  })
})

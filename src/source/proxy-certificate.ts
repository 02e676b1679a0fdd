import { hash } from 'node:crypto'
import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { type Description, descriptionOf } from '../description.js'
import { ClientCertConfigError, isClientCertError, refuseUnknownOptions } from '../errors.js'
import { Certificate } from '../x509/certificate.js'
import type { AnyRequest, Reading } from './source.js'
import { tlsSocket } from './tls-socket.js'
import type { SynchronousGate, TrustedProxy } from './trusted-proxy.js'

/** What is needed of an authenticator: `createAuthenticator()` makes one. */
export interface SocketAuthenticator {
  authenticateSocket(socket: TLSSocket): Promise<{ readonly outcome: string }>
  describe?(): { readonly policyHash: string; readonly dangerous: readonly string[] }
}

/** Pins of public keys: SHA-256 of the SubjectPublicKeyInfo in base64, as `identity.publicKeyPin` has it. */
export interface ProxyPins {
  pins: readonly string[]
}

/**
 * Admits a proxy by its own client certificate on the connection to the application: the strongest gate. Either an authenticator of its own
 * decides, with its trust, rules and revocation (on every request; it remembers by itself), or the certificate's key is one of `pins`. The
 * server has to ask for certificates: `tlsServerOptions(authenticator, …)`. The proxy's certificate never becomes a client's identity.
 *
 * @example
 * const proxies = createAuthenticator({ trust: './proxy-ca.pem', revocation: 'none', rules: rules.dnsName('edge.acme.example') })
 * forwardedHeader({ preset: 'envoy', from: proxyCertificate(proxies) })
 */
export function proxyCertificate(by: ProxyPins): SynchronousGate
export function proxyCertificate(by: SocketAuthenticator): TrustedProxy
export function proxyCertificate(by: SocketAuthenticator | ProxyPins): TrustedProxy {
  if (typeof by === 'object' && by !== null && 'pins' in by) return pinned(by)
  if (typeof by?.authenticateSocket !== 'function') {
    throw new ClientCertConfigError(
      'proxyCertificate: expected an authenticator for the proxy, or { pins: […] } — proxyCertificate(createAuthenticator({ trust: "./proxy-ca.pem" }))',
    )
  }
  return Object.freeze({
    description: 'proxyCertificate(authenticator)',
    admits: (request: AnyRequest) => {
      const socket = connectionOf(request)
      return isTls(socket) && by.authenticateSocket(socket).then(({ outcome }) => outcome === 'accepted')
    },
    describe: () => ({ kind: 'proxyCertificate', authenticator: summaryOf(by) }),
  })
}

/** Of the authenticator that judges proxies: the rest is its own to tell. */
function summaryOf(by: SocketAuthenticator): Description {
  const describe = () => {
    const told = by.describe?.()
    return told && { kind: 'authenticator', policyHash: told.policyHash, dangerous: told.dangerous }
  }
  return descriptionOf({ describe }, 'authenticator')
}

/** What a pinned key says about one TLS session. */
interface Judged {
  readonly isPinned: boolean
  readonly notBefore: number
  readonly notAfter: number
}

function pinned(by: ProxyPins): SynchronousGate {
  refuseUnknownOptions('proxyCertificate', by, ['pins'])
  const pins = new Set(checkPins(by.pins))
  const source = tlsSocket()
  // A reading is one object for as long as the session's certificate is the same.
  const judged = new WeakMap<object, Judged>()

  function judge(reading: Reading): Judged | undefined {
    if (reading.presented === undefined) return undefined
    const known = judged.get(reading)
    if (known !== undefined) return known
    const { publicKey, notBefore, notAfter } = Certificate.parse(reading.presented.certificate)
    const result = { isPinned: pins.has(hash('sha256', publicKey.der, 'base64')), notBefore, notAfter }
    judged.set(reading, result)
    return result
  }

  return Object.freeze({
    description: `proxyCertificate({ pins: [${pins.size}] })`,
    admits(request: AnyRequest, at = Number.NaN) {
      const socket = connectionOf(request)
      if (!isTls(socket)) return false
      try {
        const found = judge(source.readSocket(socket))
        // Without a time nothing is valid: NaN compares false.
        return found?.isPinned === true && at >= found.notBefore && at <= found.notAfter
      } catch (error) {
        // Renegotiated, unreadable: not the proxy.
        if (isClientCertError(error)) return false
        throw error
      }
    },
    describe: () => ({ kind: 'proxyCertificate', pins: [...pins] }),
  })
}

function checkPins(pins: unknown): readonly string[] {
  if (!Array.isArray(pins) || pins.length === 0) {
    throw new ClientCertConfigError('proxyCertificate: pins is a list of one or several pins')
  }
  for (const pin of pins) {
    if (typeof pin === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(pin)) continue
    throw new ClientCertConfigError(
      `proxyCertificate: ${JSON.stringify(pin)} is no pin — base64 of SHA-256 of the public key: openssl x509 -in proxy.pem -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64`,
    )
  }
  return pins
}

/** HTTP/2 gives every stream a socket of its own; the session's is the one that stays. */
function connectionOf(request: AnyRequest): unknown {
  return (request as Partial<Http2ServerRequest>).stream?.session?.socket ?? request.socket
}

const isTls = (socket: unknown): socket is TLSSocket =>
  typeof socket === 'object' && socket !== null && (socket as Partial<TLSSocket>).encrypted === true

import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { type AnyClientCertError, deny, isClientCertError, withAnswer } from '../errors.js'
import { limits } from '../limits.js'
import { sharedMap } from '../shared.js'
import { absentOnSocket, type SocketFacts } from './absent.js'
import type { AnyRequest, CertificateSource, PresentedChain, Reading } from './source.js'

/** What was read from one TLS session: once, because Node's getter loses the client's intermediates when it is called again. */
interface SessionRecord {
  readonly reading: Reading
  /** What was presented, as a whole, cannot be read: the connection stays what it is. */
  readonly refused?: AnyClientCertError
  readonly protocol: string
  renegotiated: boolean
}

const sessions = sharedMap<SessionRecord>('tls-sessions')

/** A source that answers at once, and for sockets too. */
export interface TlsSocketSource extends CertificateSource {
  read(request: AnyRequest): Reading
  readSocket(socket: TLSSocket): Reading
}

/**
 * The certificate of the TLS peer, of HTTP/1.1, HTTP/2 and bare TLS connections. What OpenSSL thought of it is not looked at: possession of
 * the key was proven by the handshake, everything else is validated by this package.
 *
 * A TLS 1.2 client that renegotiates after it was read is cut off, and refused should a request of it still come.
 *
 * @example
 * createAuthenticator({ trust, source: tlsSocket() }) // the default
 */
export function tlsSocket(): TlsSocketSource {
  return {
    name: 'tls',
    read: (request) => readSession(sessionOf(request), request.socket as TLSSocket, request),
    readSocket: (socket) => readSession(socket, socket, undefined),
    describe: () => ({ kind: 'tlsSocket' }),
  }
}

/** HTTP/2 gives every stream a socket of its own; its session is what stays. */
function sessionOf(request: AnyRequest): object {
  return (request as Partial<Http2ServerRequest>).stream?.session ?? request.socket
}

/** Marks a socket with what its certificate was read under: the socket of an HTTP/2 session may be read before the session is. */
const readUnder = Symbol.for('mtls-identity/1.connection')

/** What a connection's certificate was read under, where it was read: the socket, or the HTTP/2 session on it. */
export function connectionOf(socket: object): object {
  return (socket as { [readUnder]?: object })[readUnder] ?? socket
}

function readSession(session: object, socket: TLSSocket, request: AnyRequest | undefined): Reading {
  let record = sessions.get(session)
  if (record === undefined) {
    // Never twice from one connection: Node's getter loses what came after the certificate.
    record = sessions.get(connectionOf(socket)) ?? firstReading(session, socket, request)
    // A connection without a certificate is asked again, so that every refusal names its own request.
    if (record.reading.presented !== undefined || record.refused !== undefined) {
      sessions.set(session, record)
      const marked = socket as { [readUnder]?: object }
      marked[readUnder] ??= session
    }
  }
  // Its own error for every request: applications write to them.
  if (record.refused !== undefined) throw withAnswer(record.refused, {})
  if (record.renegotiated) throw deny('ERR_CLIENT_CERT_RENEGOTIATED', { protocol: record.protocol })
  return record.reading
}

function firstReading(session: object, socket: TLSSocket, request: AnyRequest | undefined): SessionRecord {
  const presented = readPeer(socket)
  const protocol = presented === undefined ? '' : (socket.getProtocol() ?? '')
  if (presented === undefined || isClientCertError(presented)) {
    const absent = absentOnSocket(request, socket as unknown as SocketFacts)
    const refused = presented === undefined ? {} : { refused: presented }
    return { reading: { presented: undefined, absent }, ...refused, protocol, renegotiated: false }
  }
  const record: SessionRecord = {
    reading: new ConnectionReading(presented, session, socket.isSessionReused()),
    protocol,
    renegotiated: false,
  }
  if (protocol !== 'TLSv1.3' && session === socket) refuseRenegotiation(socket, record)
  return record
}

/** What one connection presented. Once that was accepted, equal octets are those that are remembered of the client, and not each connection's own. */
class ConnectionReading {
  readonly presented: PresentedChain
  readonly session: object
  readonly resumed: boolean

  constructor(presented: PresentedChain, session: object, resumed: boolean) {
    this.presented = presented
    this.session = session
    this.resumed = resumed
  }

  accepted(octets: readonly Uint8Array[]): void {
    const shared = (own: Uint8Array) => octets.find((der) => Buffer.compare(der, own) === 0) ?? own
    const presented: { -readonly [K in keyof PresentedChain]: PresentedChain[K] } = this.presented
    presented.certificate = shared(presented.certificate)
    presented.intermediates = presented.intermediates.length === 0 ? none : presented.intermediates.map(shared)
  }
}

const none: readonly Uint8Array[] = Object.freeze([])

/** Up to TLS 1.2 a client can present another certificate on a live connection; TLS 1.3 has no renegotiation, and HTTP/2 forbids it. */
function refuseRenegotiation(socket: TLSSocket, record: SessionRecord): void {
  socket.disableRenegotiation()
  // Should a handshake still complete, before the connection is cut: nothing is served under the former identity.
  socket.on('secure', () => {
    record.renegotiated = true
    socket.destroy()
  })
}

/** A refusal where Node's getter was called, and what it gave cannot be read: called again, it would give less. */
function readPeer(socket: TLSSocket): PresentedChain | AnyClientCertError | undefined {
  if (socket.encrypted !== true) return undefined
  if (typeof socket.getPeerX509Certificate !== 'function') {
    const { bun, deno } = process.versions as { bun?: string; deno?: string }
    const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${process.versions.node}`
    throw deny('ERR_CLIENT_CERT_RUNTIME', {
      runtime,
      reason: 'its HTTPS server does not expose the peer certificate',
    })
  }
  const peer = socket.getPeerX509Certificate()
  if (peer === undefined) return undefined
  const intermediates: Uint8Array[] = []
  for (let next = peer.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (intermediates.length + 1 === limits.presentedCertificates) {
      return deny('ERR_CLIENT_CERT_BUDGET', {
        limit: 'presented certificates',
        maximum: limits.presentedCertificates,
      })
    }
    intermediates.push(next.raw)
  }
  return { certificate: peer.raw, intermediates, via: 'tls' }
}

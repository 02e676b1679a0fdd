import type { TLSSocket } from 'node:tls'
import type { Decision } from '../core/decision.js'
import { isClientCertError } from '../errors.js'
import { addressOf, openChannel, present } from '../event-channels.js'
import { quietly } from '../quietly.js'
import { tlsSocket } from '../source/tls-socket.js'

/** How a TLS connection began, on a server that `superviseServer()` looks after. The requests on it have decisions of their own. */
export interface ConnectionEvent {
  /**
   * `refused`: it ended in the handshake, or at the door (`refuseConnections`), and the application never heard of it. `certificate` and
   * `no-certificate`: it was let in, and this is what the client presented; nothing is said about whether it will be accepted.
   */
  readonly outcome: 'refused' | 'no-certificate' | 'certificate'
  /** The TLS session was resumed. */
  readonly resumed: boolean
  /** `'TLSv1.2'`, `'TLSv1.3'`; absent where the handshake failed before keys were agreed on. */
  readonly protocol?: string
  /** Why: of the refusal at the door, of Node or of OpenSSL. A connection that was let in has one where its certificate could not be read. */
  readonly code?: string
  /** Of the peer; absent where Node does not know it any more. */
  readonly address?: string
}

/** Hears a {@link ConnectionEvent}, once for each connection. */
export const connectionChannel = openChannel<ConnectionEvent>('connection')

/** What is said once a connection was decided about at the door; undefined for a client that was given no decision in time. */
export type DoorReport = (decision: Decision | undefined) => void

const source = tlsSocket()

/** Tells of the connections of one server. What nobody listens to is not looked at. */
export class ConnectionEvents {
  readonly #told = new WeakSet<object>()
  /** Of connections in their handshake: once that has failed, Node does not know whose they were. */
  readonly #addresses = new WeakMap<object, string>()

  /** An event `connection`: octets have yet to come. */
  begun(socket: RawSocket | undefined): void {
    if (!connectionChannel.hasSubscribers || socket?.remoteAddress === undefined) return
    this.#addresses.set(socket, socket.remoteAddress)
  }

  /** An event `tlsClientError`: the handshake failed, or Node refused after it. */
  failed(error: { readonly code?: unknown } | undefined, socket: FailedSocket | undefined): void {
    if (!connectionChannel.hasSubscribers || socket === undefined) return
    const verified = socket.authorizationError
    const code = typeof verified === 'string' && verified !== '' ? verified : error?.code
    quietly(() => {
      const facts = { protocol: protocolOf(socket), code: codeOf(code), address: this.#addressOf(socket) }
      this.#tell(socket, { outcome: 'refused', resumed: false, ...present(facts) })
    })
  }

  /** An event `secureConnection` that the application hears at once. */
  established(socket: TLSSocket): void {
    if (!connectionChannel.hasSubscribers) return
    // An application may hand over what is no socket of TLS: that is not for us to find out.
    quietly(() => this.#tell(socket, { ...this.#factsOf(socket), ...presentedOn(socket) }))
  }

  /** An event `secureConnection` that waits for a decision; what is to be called with that. */
  atDoor(socket: TLSSocket): DoorReport | undefined {
    if (!connectionChannel.hasSubscribers) return undefined
    let report: DoorReport | undefined
    quietly(() => {
      // Before it is decided: a client that leaves meanwhile has no address any more.
      const facts = this.#factsOf(socket)
      report = (decision) => {
        if (decision?.outcome === 'accepted' && !socket.destroyed)
          return this.#tell(socket, { ...facts, outcome: 'certificate' })
        const code = decision === undefined ? timedOut : decision.outcome === 'accepted' ? gone : decision.error.code
        this.#tell(socket, { ...facts, outcome: 'refused', code })
      }
    })
    return report
  }

  #factsOf(socket: TLSSocket) {
    const [protocol, address] = [protocolOf(socket), this.#addressOf(socket)]
    return { resumed: socket.isSessionReused(), ...present({ protocol, address }) }
  }

  #addressOf(socket: FailedSocket): string | undefined {
    return addressOf(socket.remoteAddress ?? this.#addresses.get(socket._parent ?? socket))
  }

  #tell(socket: object, event: ConnectionEvent): void {
    if (this.#told.has(socket)) return
    this.#told.add(socket)
    connectionChannel.publish(Object.freeze(event))
  }
}

/** No decision within `limits.connectionDecisionMilliseconds`. */
const timedOut = 'ERR_CLIENT_CERT_NOT_READY'
/** It was accepted, and had left by then: Node's word for a client that leaves in the handshake. */
const gone = 'ECONNRESET'

interface RawSocket {
  readonly remoteAddress?: string | undefined
}

interface FailedSocket extends RawSocket {
  /** The code OpenSSL's verification ended with, where Node refused for it. */
  readonly authorizationError?: unknown
  readonly _parent?: object | null
  getProtocol?(): string | null
  getCipher?(): object | undefined
}

/** Read as the source reads it, since Node's getter loses the client's intermediates when it is called twice. */
function presentedOn(socket: TLSSocket): Pick<ConnectionEvent, 'outcome' | 'code'> {
  try {
    return { outcome: source.readSocket(socket).presented === undefined ? 'no-certificate' : 'certificate' }
  } catch (error) {
    return { outcome: 'certificate', ...(isClientCertError(error) ? { code: error.code } : {}) }
  }
}

/** Before there is a cipher, Node gives the highest version the server speaks, to a client of plain HTTP, too. */
function protocolOf(socket: FailedSocket): string | undefined {
  const protocol = socket.getCipher?.() ? socket.getProtocol?.() : undefined
  return typeof protocol === 'string' && /^(?:TLS|SSL)v[\d.]+$/.test(protocol) ? protocol : undefined
}

/** A code and nothing else: it is what a metric counts by. */
const codeOf = (code: unknown): string | undefined =>
  typeof code === 'string' && /^[A-Z][A-Z0-9_]{0,79}$/.test(code) ? code : undefined

import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { Description } from '../description.js'
import type { AbsentDetail } from '../errors.js'

/** A request of `node:http`, `node:https` or `node:http2`. */
export type AnyRequest = IncomingMessage | Http2ServerRequest

/** What a peer presented: octets, nothing verified. */
export interface PresentedChain {
  /** DER of the end entity. */
  readonly certificate: Uint8Array
  /** DER of what came after it, in the order it came. */
  readonly intermediates: readonly Uint8Array[]
  readonly via: 'tls' | 'proxy'
}

/** What a source found on one request. */
export type Reading =
  | {
      readonly presented: PresentedChain
      /** Stands for what was presented as long as it is the same: the TLS session, or the header value a proxy repeats. */
      readonly session?: object
      /** The session was resumed, so that intermediates the client sent are gone. */
      readonly resumed?: boolean
      /** For refusals: the header and preset it came by. */
      readonly header?: { readonly name: string; readonly preset: string }
      /**
       * Called when a path was accepted: the source may remember what it decoded. What was refused must not drive out what was not.
       *
       * @param octets of the certificates on that path: equal ones need not be kept twice
       */
      accepted?(octets: readonly Uint8Array[]): void
    }
  | { readonly presented: undefined; readonly absent: AbsentDetail }

/** What an application's Object.prototype may have come to have: it would stand for every client. */
const inherited: { readonly session?: object } = Object.prototype

/** The session of a reading, if it is its own. By comparison: to ask who owns it takes longer than all the rest of a remembered decision. */
export function sessionIn(reading: Reading): object | undefined {
  const { session } = reading as { readonly session?: object }
  return session === inherited.session ? undefined : session
}

/**
 * Where certificates come from. A source returns octets or says that there are none; whatever stands in between (malformed, untrusted,
 * ambiguous) it throws as a refusal. It never falls back to another source.
 */
export interface CertificateSource {
  readonly name: string
  /** The header fields it reads, lower case. Answers depend on them (RFC 9440 §2.4). */
  readonly fields?: readonly string[]
  /** Octets of header it may have to carry, for the check of `maxHeaderSize`. */
  readonly headerOctets?: number
  /** @param at milliseconds since 1970. A promise only where something has to be waited for. */
  read(request: AnyRequest, at: number): Reading | Promise<Reading>
  /** For connections without requests. A source that has nothing to say about sockets leaves it out. */
  readSocket?(socket: TLSSocket): Reading
  /** How it is configured, for `authenticator.describe()`. Without it, `{ kind: 'custom', name }`. */
  describe?(): Description
}

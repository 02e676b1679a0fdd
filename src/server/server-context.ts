import { randomBytes } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { type AuthenticatorInternals, internals } from '../core/contract.js'
import { sharedMap } from '../shared.js'
import { warn } from '../warn.js'
import { nameList } from './ca-names.js'
import { bindSessions, type SessionBinding } from './session-binding.js'

/** What an operator wanted of a server, before it was bound to what is trusted. */
interface Wishes {
  readonly advertise: boolean
  readonly sessionIdContext: string | undefined
  readonly ticketKeys: Buffer | undefined
}

/** By the `ca` list of the server's options: the one object in them that a server keeps as it is. */
const wishes = sharedMap<Wishes>('server-wishes')

export function rememberWishes(ca: readonly string[], wanted: Wishes): void {
  wishes.set(ca, wanted)
}

/** A server's own key and certificate: PEM or PKCS#12, as `tls.createSecureContext` takes them. */
export interface ServerCredentials {
  readonly key?: SecureContextOptions['key']
  readonly cert?: SecureContextOptions['cert']
  readonly pfx?: SecureContextOptions['pfx']
  readonly passphrase?: string
}

/** A server of `node:tls`, or of `node:https` and `node:http2`, which are some; with the options that it keeps. */
export interface SecureServer extends SecureContextOptions {
  setSecureContext(options: SecureContextOptions): void
  readonly requestCert?: unknown
  readonly rejectUnauthorized?: unknown
}

/** Options that a server keeps and that `setSecureContext` would drop: it replaces, and does not merge. */
const kept = [
  ...(['key', 'cert', 'pfx', 'passphrase', 'ca', 'crl', 'clientCertEngine', 'privateKeyIdentifier'] as const),
  ...(['privateKeyEngine', 'ciphers', 'sigalgs', 'ecdhCurve', 'dhparam', 'honorCipherOrder'] as const),
  ...(['minVersion', 'maxVersion', 'secureProtocol', 'secureOptions', 'sessionTimeout'] as const),
] as const

/** Renews what a server presents, names and resumes: whole or not at all. */
export class ServerContext {
  readonly #server: SecureServer
  readonly #authenticator: AuthenticatorInternals
  readonly #wishes: Wishes
  readonly #isOurs: boolean

  constructor(server: SecureServer, authenticator: AuthenticatorInternals) {
    this.#server = server
    this.#authenticator = authenticator
    const { ca, sessionIdContext, ticketKeys } = server
    const wanted = typeof ca === 'object' && ca !== null ? wishes.get(ca) : undefined
    this.#isOurs = wanted !== undefined
    this.#wishes = wanted ?? { advertise: false, sessionIdContext, ticketKeys: this.#shareable(ticketKeys) }
  }

  /** Follows the trust store, where something changed that handshakes depend on. */
  follow(): void {
    if (bindSessions(this.#authenticator, this.#wishes).sessionIdContext !== this.#server.sessionIdContext) this.renew()
  }

  /** Throws where the server could not work with it, and has then changed nothing. */
  renew(credentials?: ServerCredentials): void {
    const { sessionIdContext, ticketKeys }: SessionBinding = bindSessions(this.#authenticator, this.#wishes)
    const options: SecureContextOptions & { certificateCompression?: unknown } = {}
    const server = this.#server as unknown as Record<string, unknown>
    for (const name of [...kept, 'certificateCompression']) {
      if (server[name] !== undefined) (options as Record<string, unknown>)[name] = server[name]
    }
    if (credentials !== undefined) {
      for (const name of ['key', 'cert', 'pfx', 'passphrase'] as const) delete options[name]
      Object.assign(options, credentials)
    }
    const ca = this.#ca()
    if (ca !== undefined) options.ca = ca
    Object.assign(options, {
      sessionIdContext,
      // Always said: those it has would otherwise stay in force, and with them sessions made under another trust.
      ticketKeys: ticketKeys ?? randomBytes(48),
    })
    // The server takes options in before it finds out whether they go together; this one is thrown away.
    createSecureContext(options)
    this.#server.setSecureContext(options)
  }

  #ca(): string[] | undefined {
    if (!this.#isOurs) return undefined
    const ca = this.#names()
    rememberWishes(ca, this.#wishes)
    return ca
  }

  /** What grew beyond a handshake must not keep a CA from being taken out. */
  #names(): string[] {
    if (!this.#wishes.advertise) return []
    const { trust, intermediates } = this.#authenticator[internals].settings
    try {
      return nameList(trust.current(), intermediates?.current())
    } catch (error) {
      warn('MTLS_CA_NAMES', `${(error as Error).message} (no CA is named until then)`)
      return []
    }
  }

  /** Ticket keys of an application's own server: not shared where a session would reach somebody who never saw the chain. */
  #shareable(ticketKeys: Buffer | undefined): Buffer | undefined {
    if (ticketKeys === undefined || this.#authenticator[internals].settings.intermediates !== undefined)
      return ticketKeys
    warn(
      'MTLS_TICKET_KEYS',
      'ticketKeys of this server are not shared any more: sessions carry no intermediates — createAuthenticator({ intermediates: … })',
    )
    return undefined
  }
}

import { createHmac, hash, hkdfSync, randomBytes } from 'node:crypto'
import type { AuthenticatorInternals } from '../core/contract.js'
import { internals } from '../core/contract.js'
import { ClientCertConfigError } from '../errors.js'
import { sharedMap } from '../shared.js'

/** What decides which servers resume each other's TLS sessions. */
export interface SessionBinding {
  readonly sessionIdContext: string
  /** Undefined where Node shall make them, for this server alone. */
  readonly ticketKeys: Buffer | undefined
}

export interface SessionWishes {
  readonly sessionIdContext?: string | undefined
  readonly ticketKeys?: Buffer | undefined
}

/** RFC 5077 leaves the form to the server; Node's has a name, a MAC key and a cipher key of 16 octets each. */
const ticketKeyOctets = 48

const secrets = sharedMap<Buffer>('session-secrets')

/**
 * Binds sessions to what is trusted now. A session is resumed without the client's certificate being looked at by anybody, so that it must
 * not outlive the trust it was made under, nor reach a server of another. What is resumed carries the end entity only: without configured
 * intermediates, sessions stay with the authenticator that saw the whole chain; with them, every server of the same trust may resume them.
 */
export function bindSessions(
  authenticator: AuthenticatorInternals,
  { sessionIdContext = '', ticketKeys }: SessionWishes,
): SessionBinding {
  const { trust, intermediates } = authenticator[internals].settings
  const content = JSON.stringify([trust.current().digest, intermediates?.current().digest ?? null, sessionIdContext])
  const secret = intermediates === undefined ? secretOf(authenticator) : Buffer.from('mtls-identity/1 sessions')
  return {
    // OpenSSL takes 32 octets.
    sessionIdContext: createHmac('sha256', secret).update(content).digest('hex').slice(0, 32),
    ticketKeys: ticketKeys && derive(ticketKeys, content, intermediates !== undefined),
  }
}

function secretOf(authenticator: AuthenticatorInternals): Buffer {
  const known = secrets.get(authenticator)
  if (known !== undefined) return known
  const made = randomBytes(32)
  secrets.set(authenticator, made)
  return made
}

function derive(ticketKeys: Buffer, content: string, mayBeShared: boolean): Buffer {
  if (!(ticketKeys instanceof Uint8Array && ticketKeys.length === ticketKeyOctets)) {
    throw new ClientCertConfigError(`ticketKeys: expected ${ticketKeyOctets} octets — randomBytes(${ticketKeyOctets})`)
  }
  if (!mayBeShared) {
    throw new ClientCertConfigError(
      'ticketKeys: sessions that other servers resume carry no intermediates — createAuthenticator({ intermediates: … }), or leave ticketKeys out',
    )
  }
  return Buffer.from(
    hkdfSync('sha256', ticketKeys, '', `mtls-identity/1 ticket keys ${hash('sha256', content)}`, ticketKeyOctets),
  )
}

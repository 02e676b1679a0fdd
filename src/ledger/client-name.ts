import { hash } from 'node:crypto'
import type { ClientIdentity } from '../identity/identity.js'

/** By what a client is known across its certificates. */
export type NameForm = 'principal' | 'uri' | 'dns' | 'subject' | 'email' | 'certificate'

export interface ClientName {
  readonly by: NameForm
  /** As the certificate or the application writes it. */
  readonly name: string
  /** SHA-256 of what is compared: of one length, whatever was written. */
  readonly key: string
}

/**
 * Who a client is beyond one certificate, so that a renewed one is the same client: its principal where that is text; else its first URI name; else
 * its first DNS name; else its subject; else its first email name. A certificate without any of them is a client of its own. The CA is no part of it:
 * whether another CA names the same client is what is asked.
 */
export function clientNameOf(identity: ClientIdentity): ClientName {
  const { principal, names, subject, fingerprint } = identity
  const [[uri], [dns], [email]] = [names.uri, names.dns, names.email]
  if (typeof principal === 'string' && principal !== '') return named('principal', principal)
  if (uri !== undefined) return named('uri', uri)
  if (dns !== undefined) return named('dns', dns, dns.toLowerCase())
  if (!subject.isEmpty) return named('subject', subject.toString(), subject.comparisonKey)
  return email === undefined ? named('certificate', fingerprint) : named('email', email)
}

const named = (by: NameForm, name: string, compared = name): ClientName => ({
  by,
  name,
  key: hash('sha256', `${by} ${compared}`, 'base64'),
})

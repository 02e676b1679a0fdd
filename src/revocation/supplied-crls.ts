import { DerError } from '../der/der-error.js'
import { CertificateRevocationList } from '../x509/crl.js'
import { type StatusQuestion, statusOfPath } from './certificate-status.js'
import type { RevocationChecker } from './checker.js'
import { indexEntries } from './crl-index.js'
import { CrlSet } from './crl-set.js'
import { CrlStatus } from './crl-status.js'
import { KnownCrl } from './known-crl.js'

/** Callers give the same CRLs again and again: what was read of one, and who signed it, is kept while its octets are there. */
const known = new WeakMap<Uint8Array, Promise<KnownCrl | undefined>>()

const status = new CrlStatus({ skew: 0, maxAge: Number.POSITIVE_INFINITY, remembersSigners: false })

/** Checks by CRLs a caller hands over: each stands on its own, and one that cannot be read is as good as none. */
export async function suppliedCrls(ders: readonly Uint8Array[]): Promise<RevocationChecker> {
  const crls = await Promise.all(ders.map(read))
  const set = new CrlSet(crls.filter((crl) => crl !== undefined))
  const checker = { statusOf: (question: StatusQuestion) => status.of(question, set) }
  return {
    name: 'supplied CRLs',
    generation: 0,
    check: (path, at, context) => statusOfPath(checker, path, at, context),
  }
}

async function read(der: Uint8Array): Promise<KnownCrl | undefined> {
  const before = await known.get(der)
  if (before !== undefined && Buffer.compare(before.crl.der, der) === 0) return before
  const reading = index(new Uint8Array(der))
  known.set(der, reading)
  return reading
}

async function index(der: Uint8Array): Promise<KnownCrl | undefined> {
  try {
    const crl = CertificateRevocationList.parse(der)
    return new KnownCrl(crl, await indexEntries(crl), 'supplied')
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

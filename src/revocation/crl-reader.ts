import { DerError } from '../der/der-error.js'
import { ClientCertConfigError } from '../errors.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { indexEntries, indexEntriesNow } from './crl-index.js'
import { KnownCrl } from './known-crl.js'

/** Octets of entries that are read without a pause: a millisecond's worth. */
const smallOctets = 64 * 1024

/** Whether the entries of these CRLs are few enough to be read at once. */
export const areSmall = (crls: readonly CertificateRevocationList[]): boolean =>
  crls.reduce((sum, { entries }) => sum + entries.length, 0) <= smallOctets

/**
 * Makes CRLs known, all or none. What was known of the same octets is kept: their index, and who signed them.
 *
 * @param place how messages call where they come from: `crl: ./clients.crl`
 * @param where the same without the option
 */
export function knowNow(
  place: string,
  where: string,
  crls: readonly CertificateRevocationList[],
  before: readonly KnownCrl[],
): KnownCrl[] {
  return crls.map(
    (crl) =>
      same(crl, before) ??
      new KnownCrl(
        crl,
        wellFormed(place, () => indexEntriesNow(crl)),
        where,
      ),
  )
}

/** The same for any size, while others get their turn. */
export async function know(
  place: string,
  where: string,
  crls: readonly CertificateRevocationList[],
  before: readonly KnownCrl[],
): Promise<KnownCrl[]> {
  const known: KnownCrl[] = []
  for (const crl of crls) {
    known.push(same(crl, before) ?? new KnownCrl(crl, await indexEntries(crl).catch(malformed(place)), where))
  }
  return known
}

const same = (crl: CertificateRevocationList, before: readonly KnownCrl[]) =>
  before.find((known) => Buffer.compare(known.crl.der, crl.der) === 0)

function wellFormed<T>(place: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    return malformed(place)(error)
  }
}

const malformed =
  (place: string) =>
  (error: unknown): never => {
    if (!(error instanceof DerError)) throw error
    const reason = `an entry is not what RFC 5280 §5.1 says: ${error.message} at octet ${error.offset}`
    throw new ClientCertConfigError(`${place}: ${reason} — fetch the CRL again, whole`, { cause: error })
  }

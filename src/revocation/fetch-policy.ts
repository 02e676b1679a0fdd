import { AddressRanges, parseAddressRange, plainAddress } from '../address-ranges.js'
import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import { limits } from '../limits.js'
import { type AddressKind, addressKind } from './address-kind.js'
import { FetchError } from './fetch-error.js'
import { AllowedHosts, type FetchUrl, parseFetchUrl } from './fetch-url.js'

/** What may be asked: a URL, and who wrote it. */
export interface FetchTarget extends FetchUrl {
  readonly configured: boolean
}

/**
 * Where a URL that the operator wrote never leads without `allowPrivateNetworks`. No CRL is published there, and a name that resolves to such an
 * address was not the operator's doing. Everything else it may: private networks are where private CAs live.
 */
const neverByName: readonly AddressKind[] = [
  'metadata',
  'link-local',
  'multicast',
  'broadcast',
  'unspecified',
  'tunnel',
]

/** Which URLs are fetched, and to which addresses connections are made. It decides; it asks nobody. */
export class FetchPolicy {
  readonly #hosts: AllowedHosts
  readonly #networks: AddressRanges

  /** @throws ClientCertConfigError with the fix */
  constructor(allowHosts: readonly string[], allowPrivateNetworks: readonly string[]) {
    this.#hosts = new AllowedHosts(allowHosts)
    this.#networks = new AddressRanges(allowPrivateNetworks.map(parseNetwork))
  }

  /** Throws {@link FetchError} for a URL that is not fetched, before anybody was asked about its host. */
  target(url: string, configured: boolean): FetchTarget {
    const parsed = parseFetchUrl(url)
    if (configured || this.#hosts.holds(parsed)) return { ...parsed, configured }
    const name = `${parsed.host.includes(':') ? `[${parsed.host}]` : parsed.host}:${parsed.port}`
    throw new FetchError(
      'refused-host',
      url,
      `it comes from a certificate, and ${quote(name)} is not among the allowed hosts — allowHosts: ['crl.example.com'] allows its default ports`,
    )
  }

  /**
   * The addresses to connect to, as they are to be written. Every one that the name has must be acceptable: whoever makes it resolve to a public
   * address and an inner one at once has the inner one in mind.
   */
  acceptable(target: FetchTarget, resolved: readonly string[]): readonly string[] {
    if (resolved.length === 0) throw new FetchError('dns', target.href, 'its host has no address', { phase: 'dns' })
    if (resolved.length > limits.resolvedAddresses) {
      const reason = `its host has ${resolved.length} addresses, ${limits.resolvedAddresses} at most are looked at`
      throw new FetchError('dns', target.href, reason, { phase: 'dns' })
    }
    return resolved.map((address) => this.#accept(target, address))
  }

  #accept(target: FetchTarget, resolved: string): string {
    const refuse = (reason: string) => new FetchError('refused-address', target.href, reason, { phase: 'dns' })
    const address = plainAddress(resolved)
    if (address === undefined) throw refuse(`its host has ${quote(resolved)}, which is no address or has a zone`)
    const kind = addressKind(address)
    const isFine = target.configured ? !neverByName.includes(kind) : kind === 'global'
    if (isFine || this.#networks.holds(address)) return address
    throw refuse(
      `its host has the ${kind} address ${address} — allowPrivateNetworks: ['${address}'] if that is where it should lead`,
    )
  }
}

/** The widest networks set aside for private use are 10.0.0.0/8 and fc00::/7: who writes a wider one means something else. */
function parseNetwork(written: unknown) {
  const range = parseAddressRange(written, (text) => `allowPrivateNetworks: [${text}]`)
  if (range.prefix < (range.version === 4 ? 8 : 7)) {
    throw new ClientCertConfigError(
      `allowPrivateNetworks: ['${written}'] is wider than any private network — name the networks of your CRL and OCSP hosts`,
    )
  }
  return range
}

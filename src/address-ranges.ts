import { BlockList, isIP } from 'node:net'
import { ClientCertConfigError } from './errors.js'

/** A network in CIDR notation; an address alone is the network that holds nothing else. */
export interface AddressRange {
  readonly address: string
  readonly version: 4 | 6
  readonly prefix: number
}

/**
 * Reads a network as an operator writes it: `10.0.3.7`, `10.0.3.0/24`, `2001:db8::/48`. Throws {@link ClientCertConfigError} for everything
 * else, IPv4 addresses mapped into IPv6 and zones included: they would never match.
 *
 * @param option what to say about a range: `'10.0.3.0/33'`, quotes included, becomes `proxyAddress('10.0.3.0/33')`
 */
export function parseAddressRange(range: unknown, option: (written: string) => string): AddressRange {
  if (typeof range !== 'string')
    throw new ClientCertConfigError(
      `${option('…')}: expected addresses, got ${range === undefined ? 'nothing' : typeof range}`,
    )
  const written = option(`'${range}'`)
  const parts = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(range.trim())
  const address = parts?.[1]
  const version = address === undefined ? 0 : isIP(address)
  if (address === undefined || (version !== 4 && version !== 6) || address.includes('%')) {
    throw new ClientCertConfigError(
      `${written} is neither an address nor a range — '10.0.3.7' or '10.0.3.0/24'; host names are not resolved`,
    )
  }
  if (version === 6 && /^\[::ffff:[0-9a-f]{1,4}:[0-9a-f]{1,4}\]$/.test(new URL(`http://[${address}]`).hostname)) {
    throw new ClientCertConfigError(`${written} is an IPv4 address mapped into IPv6 — write it as IPv4`)
  }
  const bits = version === 4 ? 32 : 128
  const prefix = parts?.[2] === undefined ? bits : Number(parts[2])
  if (prefix > bits) throw new ClientCertConfigError(`${written}: an IPv${version} prefix has at most ${bits} bits`)
  return { address, version, prefix }
}

/** Networks, and what lies in them. */
export class AddressRanges {
  // One list for each version: in one, a range of IPv6 that spans ::ffff:0:0/96 would hold every IPv4 address.
  readonly #lists = { 4: new BlockList(), 6: new BlockList() }

  constructor(ranges: Iterable<AddressRange> = []) {
    for (const range of ranges) this.add(range)
  }

  add({ address, version, prefix }: AddressRange): void {
    this.#lists[version].addSubnet(address, prefix, `ipv${version}`)
  }

  /** Whether the address, without zone and with IPv4 as IPv4, lies in one of them. What is no address lies nowhere. */
  holds(address: string): boolean {
    const version = isIP(address)
    return (version === 4 || version === 6) && this.#lists[version].check(address, `ipv${version}`)
  }
}

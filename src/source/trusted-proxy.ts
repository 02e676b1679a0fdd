import { isIP } from 'node:net'
import { type AddressRange, AddressRanges, parseAddressRange, plainAddress } from '../address-ranges.js'
import { type Description, descriptionOf } from '../description.js'
import { ClientCertConfigError } from '../errors.js'
import { LruMap } from '../lru-map.js'
import { warn } from '../warn.js'
import type { AnyRequest } from './source.js'

/**
 * A gate: decides whether the peer of a connection may send forwarded certificates. It sees the connection, never what a header says about
 * it. Only `true` admits; what it throws refuses (500).
 */
export interface TrustedProxy {
  /** How it was written, for the operator: `proxyAddress('10.0.0.0/8')`. */
  readonly description: string
  /** @param at milliseconds since 1970. A promise only where something has to be waited for. */
  admits(request: AnyRequest, at: number): boolean | Promise<boolean>
  /** How it is configured, for `authenticator.describe()`; secrets are counted, never told. Without it, `{ kind: 'custom', name }`. */
  describe?(): Description
}

/** @internal What a gate says of itself. */
export const describeGate = (gate: TrustedProxy): Description => descriptionOf(gate, gate.description)

/** A gate that answers at once. */
export interface SynchronousGate extends TrustedProxy {
  admits(request: AnyRequest, at?: number): boolean
}

const widestIpv4 = 16
const widestIpv6 = 48
/** Addresses whose answer is remembered. */
const peers = 256

/**
 * Admits peers by the remote address of their connection: addresses or CIDR ranges. An IPv4 address mapped into IPv6 counts as IPv4. A peer
 * without an address (a Unix socket, a connection that was reset) passes nothing. `X-Forwarded-For`, `req.ip` and `trust proxy` have no say.
 *
 * @example
 * forwardedHeader({ preset: 'nginx', headers: { certificate: 'X-SSL-Client-Cert' }, from: proxyAddress('10.0.3.0/24', '::1') })
 */
export function proxyAddress(first: string, ...rest: readonly string[]): SynchronousGate {
  if (Array.isArray(first))
    throw new ClientCertConfigError('proxyAddress(…): expected addresses, got a list — proxyAddress(...list)')
  const written = [first, ...rest]
  const believed = written.map(believableRange)
  const ranges = new AddressRanges(believed)
  const check = (peer: string) => {
    const address = normalizeAddress(peer)
    return address !== undefined && ranges.holds(address)
  }
  // A list is looked through in C++, with an object for the address: proxies are few, and come again.
  const answers = new LruMap<string, boolean>(peers)
  return Object.freeze({
    description: `proxyAddress(${written.map((range) => `'${range}'`).join(', ')})`,
    admits: ({ socket }: AnyRequest) => {
      const peer = socket?.remoteAddress
      if (peer === undefined) return false
      const known = answers.get(peer)
      if (known !== undefined) return known
      const answer = check(peer)
      answers.set(peer, answer)
      return answer
    },
    describe: () => ({
      kind: 'proxyAddress',
      ranges: believed.map(({ address, prefix }) => `${plainAddress(address)}/${prefix}`),
      isWide: believed.some(isWide),
    }),
  })
}

const isWide = ({ version, prefix }: AddressRange) => prefix < (version === 4 ? widestIpv4 : widestIpv6)

function believableRange(written: string): AddressRange {
  const range = parseAddressRange(written, (text) => `proxyAddress(${text})`)
  if (range.prefix === 0)
    throw new ClientCertConfigError(
      `proxyAddress('${written}') would believe everybody — name the addresses of your proxies`,
    )
  if (isWide(range)) {
    warn(
      'MTLS_WIDE_PROXY_RANGE',
      `proxyAddress('${written}') believes every host of a very wide range — name the addresses of your proxies`,
    )
  }
  return range
}

/** The address in the one form ranges are compared with: no zone, IPv4 as IPv4. */
function normalizeAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const zone = address.indexOf('%')
  const bare = zone < 0 ? address : address.slice(0, zone)
  const normal = mappedIpv4(bare) ?? bare
  return isIP(normal) === 0 ? undefined : normal
}

function mappedIpv4(address: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIP(mapped) === 4 ? mapped : undefined
}

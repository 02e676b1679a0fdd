import { AddressRanges, groupsOf, lastAsIpv4, parseAddressRange } from '../address-ranges.js'

/** What an address is for: `global`, or the purpose for which it was set aside. */
export type AddressKind =
  | 'global'
  | 'private'
  | 'shared'
  | 'loopback'
  | 'link-local'
  | 'metadata'
  | 'multicast'
  | 'broadcast'
  | 'unspecified'
  | 'documentation'
  | 'benchmarking'
  | 'tunnel'
  | 'reserved'

/**
 * The special-purpose registries of IANA (RFC 6890, as of 2025-10), and the addresses at which clouds hand out credentials. The first row that
 * holds an address decides. In IPv6 only 2000::/3 is assigned for global unicast, so what lies outside of it and in no row is `reserved`.
 */
const table: readonly [kind: AddressKind, ...ranges: readonly string[]][] = [
  // AWS, Google, Oracle and Scaleway in IPv6; Alibaba, Oracle's older cloud, and Azure's host, which has a public address.
  ['metadata', '169.254.169.254', 'fd00:ec2::254', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fd00:42::42'],
  ['metadata', '100.100.100.200', '192.0.0.192', '168.63.129.16'],
  ['unspecified', '0.0.0.0/8', '::'],
  ['loopback', '127.0.0.0/8', '::1'],
  ['link-local', '169.254.0.0/16', 'fe80::/10'], // RFC 3927, RFC 4291 §2.5.6
  ['private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'], // RFC 1918, RFC 4193
  ['private', 'fec0::/10'], // site-local, deprecated by RFC 3879
  ['private', '64:ff9b:1::/48'], // RFC 8215: translates to the IPv4 of one network, at a place of the operator's choice
  ['shared', '100.64.0.0/10'], // RFC 6598, between a carrier and its customers
  ['broadcast', '255.255.255.255'],
  ['multicast', '224.0.0.0/4', 'ff00::/8'],
  ['documentation', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'],
  ['benchmarking', '198.18.0.0/15', '2001:2::/48'], // RFC 2544, RFC 5180
  // IPv4 within IPv6: compatible (RFC 4291 §2.5.5.1), translated (RFC 2765), Teredo, 6to4 and its relays. None of it is in use; each could lead inwards.
  ['tunnel', '::/96', '::ffff:0:0:0/96', '2001::/32', '2002::/16', '192.88.99.0/24'],
  ['reserved', '192.0.0.0/24', '240.0.0.0/4', '2001::/23'], // IETF protocol assignments, class E
  ['global', '0.0.0.0/0', '2000::/3'],
]

const kinds = table.map(([kind, ...ranges]) => ({
  kind,
  ranges: new AddressRanges(ranges.map((range) => parseAddressRange(range, String))),
}))

/** RFC 6052 §2.1: the last 32 bits are the IPv4 address that a NAT64 turns it into. */
const wellKnownNat64 = new AddressRanges([parseAddressRange('64:ff9b::/96', String)])

/** What an address, as `plainAddress` writes it, is for. */
export function addressKind(address: string): AddressKind {
  if (wellKnownNat64.holds(address)) return addressKind(lastAsIpv4(groupsOf(address)))
  return kinds.find(({ ranges }) => ranges.holds(address))?.kind ?? 'reserved'
}

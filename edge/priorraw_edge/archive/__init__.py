"""`reconstruct` over whole archives: folder trees and object stores, a manifest, resume, one machine or a cluster."""

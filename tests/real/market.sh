# A multi-threaded C++ program: helpers/market.cc.
# run: needs=g++ pools=128M
under "$HELPERS/market"
